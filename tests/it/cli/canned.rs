//! A server that answers what it was told to, in this order, the last answer for ever.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Canned {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    pub fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        // It ends with the process of the test.
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = &answers[number.min(answers.len() - 1)];
                let request = exchange(stream.unwrap(), answer);
                seen.lock().unwrap().push(request);
            }
        });
        Self { url, requests }
    }

    /// What was sent, head and body as far as it came at once.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn exchange(mut stream: TcpStream, answer: &str) -> String {
    let mut bytes = vec![0; 64 << 10];
    let mut read = 0;
    while !bytes[..read].windows(4).any(|end| end == b"\r\n\r\n") {
        let more = stream.read(&mut bytes[read..]).unwrap_or(0);
        if more == 0 {
            break;
        }
        read += more;
        // The beginning of TLS, which this does not speak.
        if bytes[0] == 0x16 {
            break;
        }
    }
    let _ = stream.write_all(answer.as_bytes());
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

/// An answer with a body.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
