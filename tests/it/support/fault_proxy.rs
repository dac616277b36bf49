//! A TCP proxy that plays a bad network in front of a server: answers that are lost after the work was
//! done, late, cut or never to come.
//!
//! It runs on a thread of its own and ends with the value. What passes is not understood, only looked at.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

/// A server that says nothing for so long has said all there is to an answer.
const QUIET: Duration = Duration::from_millis(30);

/// How everything passes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    #[default]
    Fine,
    /// Every answer comes so much later.
    Slow(Duration),
    /// Nothing passes in either direction; what was sent arrives when the network is fine again.
    Held,
    /// Half open: connections that are used now lead nowhere for ever, and nobody is told.
    Silent,
}

/// What becomes of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Gone, and the connection is reset.
    Reset,
    /// Gone, and the connection stays open and says nothing any more.
    Silence,
    /// Half of it arrives, then the connection ends.
    Cut,
}

type Request = Box<dyn Fn(&[u8]) -> bool + Send>;

#[derive(Default)]
struct State {
    /// The next request that fits loses its answer.
    armed: Option<(Request, Loss)>,
    /// From the next request on that fits, nothing passes.
    hold: Option<Request>,
}

struct Shared {
    target: Mutex<SocketAddr>,
    state: Mutex<State>,
    network: watch::Sender<Network>,
    resets: watch::Sender<usize>,
    lost: AtomicUsize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits while nothing passes; how it passes then.
    async fn passage(&self) -> Network {
        let mut network = self.network.subscribe();
        let now = network.wait_for(|n| *n != Network::Held).await;
        now.map_or(Network::Silent, |n| *n)
    }

    /// What the answer to these bytes is to suffer.
    fn judge(&self, request: &[u8]) -> Option<Loss> {
        let mut state = self.state();
        let (_, loss) = state.armed.take_if(|(fits, _)| fits(request))?;
        Some(loss)
    }
}

/// The proxy; dropping it ends every connection.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl FaultProxy {
    /// In front of a port of this machine.
    pub fn start(port: u16) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: Mutex::new(([127, 0, 0, 1], port).into()),
            state: Mutex::default(),
            network: watch::Sender::default(),
            resets: watch::Sender::default(),
            lost: AtomicUsize::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let served = shared.clone();
        let thread = std::thread::Builder::new().name("fault-proxy".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, served) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread.unwrap()) }
    }

    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Whoever connects from now on comes to another port; who is connected stays where he is.
    pub fn lead_to(&self, port: u16) {
        *self.shared.target.lock().unwrap() = ([127, 0, 0, 1], port).into();
    }

    /// From now on.
    pub fn set(&self, network: Network) {
        self.shared.network.send_replace(network);
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.shared.resets.send_modify(|n| *n += 1);
    }

    /// The server does what the next such request asks for, and its answer is lost.
    pub fn lose_answer_to(&self, request: impl Fn(&[u8]) -> bool + Send + 'static, loss: Loss) {
        self.shared.state().armed = Some((Box::new(request), loss));
    }

    /// [`Network::Held`] from the next such request on.
    pub fn hold_from(&self, request: impl Fn(&[u8]) -> bool + Send + 'static) {
        self.shared.state().hold = Some(Box::new(request));
    }

    /// Whether nothing passes.
    pub fn holds(&self) -> bool {
        *self.shared.network.borrow() == Network::Held
    }

    /// Forgets a loss that has not happened yet.
    pub fn disarm(&self) {
        self.shared.state().armed = None;
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::Acquire)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether these bytes stand in a request: the simplest way to know one.
pub fn holds(request: &[u8], text: &str) -> bool {
    request.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, shared.clone()));
    }
}

/// How a connection ends.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// What is known of one connection.
#[derive(Default)]
struct Connection {
    /// Leads nowhere.
    mute: bool,
    /// What the next answer suffers.
    loss: Option<Loss>,
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let _ = client.set_nodelay(true);
    let mut resets = shared.resets.subscribe();
    let mute = shared.passage().await == Network::Silent;
    let target = *shared.target.lock().unwrap();
    let Ok(mut server) = TcpStream::connect(target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = server.set_nodelay(true);
    let connection = Mutex::new(Connection { mute, loss: None });
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            end = pass_requests(from_client, to_server, &connection, &shared) => end,
            end = pass_answers(from_server, to_client, &connection, &shared) => end,
            _ = resets.changed() => End::Reset,
        }
    };
    if end == End::Reset {
        let _ = client.set_zero_linger();
    }
}

async fn pass_requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    connection: &Mutex<Connection>,
    shared: &Shared,
) -> End {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(n @ 1..) = client.read(&mut bytes).await else { return End::Closed };
        if shared.state().hold.take_if(|fits| fits(&bytes[..n])).is_some() {
            shared.network.send_replace(Network::Held);
        }
        let network = shared.passage().await;
        {
            let mut connection = connection.lock().unwrap();
            connection.mute |= network == Network::Silent;
            if connection.mute {
                continue;
            }
            if let Some(loss) = shared.judge(&bytes[..n]) {
                connection.loss = Some(loss);
            }
        }
        if server.write_all(&bytes[..n]).await.is_err() {
            return End::Reset;
        }
    }
}

async fn pass_answers(
    server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    connection: &Mutex<Connection>,
    shared: &Shared,
) -> End {
    // Late answers are all late by the same time: one does not wait for the one before it.
    let (late, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let arrive = async {
        while let Some((at, bytes)) = arriving.recv().await {
            sleep_until(at).await;
            if client.write_all(&bytes).await.is_err() {
                break;
            }
        }
        End::Closed
    };
    tokio::select! {
        end = hear_answers(server, &late, connection, shared) => end,
        end = arrive => end,
    }
}

async fn hear_answers(
    mut server: ReadHalf<'_>,
    late: &mpsc::UnboundedSender<(Instant, Vec<u8>)>,
    connection: &Mutex<Connection>,
    shared: &Shared,
) -> End {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(n @ 1..) = server.read(&mut bytes).await else { return End::Closed };
        let network = shared.passage().await;
        let (mute, loss) = {
            let mut connection = connection.lock().unwrap();
            connection.mute |= network == Network::Silent;
            (connection.mute, connection.loss.take())
        };
        if mute {
            continue;
        }
        let pass = |bytes: &[u8], by: Duration| late.send((Instant::now() + by, bytes.to_vec()));
        if let Some(loss) = loss {
            if loss == Loss::Cut {
                let _ = pass(&bytes[..n / 2], Duration::ZERO);
            }
            // Answers to earlier requests of the connection come first; all are lost.
            while let Ok(Ok(1..)) = timeout(QUIET, server.read(&mut bytes)).await {}
            shared.lost.fetch_add(1, Ordering::AcqRel);
            match loss {
                Loss::Reset => return End::Reset,
                Loss::Cut => return End::Closed,
                Loss::Silence => connection.lock().unwrap().mute = true,
            }
            continue;
        }
        let by = if let Network::Slow(time) = network { time } else { Duration::ZERO };
        let _ = pass(&bytes[..n], by);
    }
}
