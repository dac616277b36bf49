//! The processes under test, each behind a bad network of its own, and what is done to them.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use productforge::store::{
    MAX_BATCH, Store,
    redis::{RedisOptions, RedisStore},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{
    fault_proxy::{FaultProxy, Network, holds},
    process::{Process, Server, folder},
    redis_server::{Options, RedisServer},
    wait::until,
};

use super::{
    board::{Board, Start, now_us},
    model::Model,
    plan::{Engine, Fault, LEASE, Plan, RESULT_TTL, Settings, Trouble},
};

/// How long a trap for one answer stays open.
const TRAP: Duration = Duration::from_secs(2);

/// One seat in the fleet: whoever sits there is killed and replaced.
struct Seat {
    network: Option<FaultProxy>,
    seated: Seated,
}

enum Seated {
    Server(Server),
    Worker(Process),
}

impl Seated {
    fn process(&mut self) -> &mut Process {
        match self {
            Self::Server(server) => &mut server.process,
            Self::Worker(process) => process,
        }
    }
}

pub struct Fleet {
    settings: Settings,
    pub redis: Option<RedisServer>,
    /// The run's own way to Redis.
    pub store: Option<Arc<dyn Store>>,
    pub model: Model,
    pub board: Arc<Board>,
    folder: TempDir,
    /// The server first.
    seats: Vec<Seat>,
}

impl Fleet {
    pub async fn start(settings: Settings, board: Arc<Board>) -> Self {
        let redis = (settings.engine == Engine::Redis).then(|| {
            // Every write is kept before it is answered; what is written to strings is told.
            let extra = "--notify-keyspace-events K$";
            RedisServer::start_with(Options { appendfsync: Some("always"), extra, ..Options::default() })
        });
        let store = redis.as_ref().map(|redis| -> Arc<dyn Store> {
            Arc::new(RedisStore::open(RedisOptions { url: redis.url(), prefix: String::new() }).unwrap())
        });
        board.store_up.store(true, Ordering::Release);
        let model = Model::start(settings.seed);
        let mut fleet = Self { settings, redis, store, model, board, folder: folder(), seats: Vec::new() };
        let seats = if settings.engine == Engine::Redis { settings.workers() + 1 } else { 1 };
        for seat in 0..seats {
            let network = fleet.redis.as_ref().map(|redis| FaultProxy::start(redis.port()));
            let seated = fleet.seat(seat, network.as_ref()).await;
            fleet.seats.push(Seat { network, seated });
        }
        fleet
    }

    /// The embedded store's file.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("workspace/productforge.db")
    }

    async fn seat(&self, seat: usize, network: Option<&FaultProxy>) -> Seated {
        let number = self.board.starts().len();
        let model = self.model.url(number);
        let lease = LEASE.as_secs().to_string();
        let slots = self.settings.slots().to_string();
        let redis = network.map(FaultProxy::redis_url);
        let mut environment = vec![
            ("OPENAI_BASE_URL", model.as_str()),
            ("LEASE_SECONDS", &lease),
            ("WORKERS", &slots),
            ("RESULT_TTL", RESULT_TTL),
            ("RETRY_BASE_SECONDS", "0"),
            ("DRAIN_SECONDS", "5"),
        ];
        environment.extend(redis.as_deref().map(|url| ("REDIS_URL", url)));
        let (seated, pid) = if seat == 0 {
            let arguments: &[&str] = if redis.is_some() { &["--workers", "0"] } else { &[] };
            let server = Server::start(self.folder.path(), arguments, &environment).await;
            self.board.set_url(&server.url);
            let pid = server.process.pid();
            (Seated::Server(server), pid)
        } else {
            let process = Process::start(self.folder.path(), &["worker"], &environment);
            let pid = process.pid();
            (Seated::Worker(process), pid)
        };
        self.board.starts().push(Start { number, pid, dead_us: None });
        seated
    }

    /// Does to the fleet what the plan says, each thing when the load has come so far.
    pub async fn suffer(&mut self, plan: &Plan) {
        for (n, step) in plan.steps.iter().enumerate() {
            self.board.open_gate(step.after + self.settings.backlog());
            until_accepted(&self.board, step.after).await;
            sleep(step.pause).await;
            if plan.steps.len() > 60 && n % 10 == 0 {
                println!("fault {n} of {}, {} requests", plan.steps.len(), self.board.accepted().requests());
            }
            self.strike(step.fault).await;
        }
        self.board.open_gate(usize::MAX);
        self.board.faults_done.store(true, Ordering::Release);
    }

    async fn strike(&mut self, fault: Fault) {
        let board = self.board.clone();
        match fault {
            Fault::Kill(seat) => {
                board.blows().kills += 1;
                self.kill(seat).await;
            }
            Fault::Stop(seat, time) => {
                board.blows().stops += 1;
                // The embedded store is frozen with its process.
                board.store_up.store(self.redis.is_some(), Ordering::Release);
                self.seats[seat].seated.process().signal("STOP");
                sleep(time).await;
                self.seats[seat].seated.process().signal("CONT");
                board.store_up.store(true, Ordering::Release);
            }
            Fault::Suspend(time) => {
                board.blows().suspends += 1;
                self.signal_workers("STOP");
                let end = Instant::now() + time;
                while Instant::now() < end {
                    sleep(Duration::from_millis(20)).await;
                    // A connection of before an outage may fail once.
                    if let Ok(swept) = self.store.as_ref().unwrap().sweep(MAX_BATCH).await {
                        board.swept().extend(swept.iter().map(|lease| lease.token.0));
                    }
                }
                self.signal_workers("CONT");
            }
            Fault::StoreKill(down) => {
                board.blows().store_kills += 1;
                let redis = self.redis.as_mut().unwrap();
                board.store_up.store(false, Ordering::Release);
                redis.kill();
                sleep(down).await;
                redis.start_again();
                board.store_up.store(true, Ordering::Release);
            }
            Fault::Network(seat, trouble) => {
                board.blows().network += 1;
                trouble_on(self.seats[seat].network.as_ref().unwrap(), trouble).await;
            }
        }
    }

    fn signal_workers(&mut self, name: &str) {
        for seat in &mut self.seats[1..] {
            seat.seated.process().signal(name);
        }
    }

    async fn kill(&mut self, seat: usize) {
        let embedded = self.redis.is_none();
        if embedded {
            self.board.store_up.store(false, Ordering::Release);
            until("the watcher lets go", || async {
                (!self.board.looking.load(Ordering::Acquire)).then_some(())
            })
            .await;
        }
        let process = self.seats[seat].seated.process();
        let pid = process.pid();
        assert!(process.ended().is_none(), "a process ended by itself:\n{}", process.output());
        process.kill();
        if let Some(start) = self.board.starts().iter_mut().rev().find(|s| s.pid == pid) {
            start.dead_us = Some(now_us());
        }
        let network = self.seats[seat].network.take();
        let seated = self.seat(seat, network.as_ref()).await;
        self.seats[seat] = Seat { network, seated };
        if embedded {
            self.board.store_up.store(true, Ordering::Release);
        }
    }

    /// Ends all processes in good order; what was not right about that.
    pub async fn stop(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for seat in &mut self.seats {
            let process = seat.seated.process();
            if let Some(status) = process.ended() {
                wrong.push(format!("a process ended by itself ({status}):\n{}", process.output()));
                continue;
            }
            process.signal("TERM");
            let status = until("a process ends in good order", || {
                let ended = process.ended();
                async move { ended }
            })
            .await;
            if !status.success() {
                wrong.push(format!("a process did not end well: {status}\n{}", process.output()));
            }
        }
        wrong
    }

    /// What all processes said, those that were killed too.
    pub fn outputs(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "out"))
            .map(|path| std::fs::read_to_string(path).unwrap_or_default())
            .collect()
    }
}

/// Whether bytes on their way to Redis ask for jobs. Several calls of scripts may travel together.
pub fn is_reserve(request: &[u8]) -> bool {
    const CALL: &[u8] = b"\r\nEVALSHA\r\n";
    let begins = (0..request.len()).filter(|at| request[*at..].starts_with(CALL));
    let ends = begins.clone().skip(1).chain([request.len()]);
    begins.zip(ends).map(|(from, to)| &request[from..to]).any(|call| {
        // The one write names the tokens of leases, too, and the counter of events beside them.
        holds(call, "pf:token") && !holds(call, "pf:event_id")
    })
}

/// Whether bytes on their way to Redis end a job.
pub fn is_finish(request: &[u8]) -> bool {
    holds(request, "results_by_agent:")
}

async fn trouble_on(network: &FaultProxy, trouble: Trouble) {
    match trouble {
        Trouble::LoseReserve(loss) => network.lose_answer_to(is_reserve, loss),
        Trouble::LoseFinish(loss) => network.lose_answer_to(is_finish, loss),
        Trouble::LoseAny(loss) => network.lose_answer_to(|_| true, loss),
        Trouble::Reset => return network.reset(),
        Trouble::Slow { by, lasts } => return spell(network, Network::Slow(by), lasts).await,
        Trouble::Silent { lasts } => return spell(network, Network::Silent, lasts).await,
        Trouble::Held { lasts } => return spell(network, Network::Held, lasts).await,
    }
    let (before, end) = (network.lost(), Instant::now() + TRAP);
    while network.lost() == before && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
    network.disarm();
}

async fn spell(network: &FaultProxy, weather: Network, lasts: Duration) {
    network.set(weather);
    sleep(lasts).await;
    network.set(Network::Fine);
}

/// The load needs no hurry, but it must come on.
async fn until_accepted(board: &Board, number: usize) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let accepted = board.accepted().requests();
        if accepted >= number {
            return;
        }
        if accepted > last {
            (last, since) = (accepted, Instant::now());
        }
        assert!(since.elapsed() < Duration::from_secs(30), "stuck: no request was accepted for 30 s");
        sleep(Duration::from_millis(2)).await;
    }
}
