//! A run as data: how large it is, what is asked for and which faults come when. All of it follows from
//! the seed, so a run is repeated by its settings alone. (The machine decides what exactly a fault hits.)

use std::{fmt, time::Duration};

use crate::support::fault_proxy::Loss;

/// The lease of every process of a run.
pub const LEASE: Duration = Duration::from_secs(1);
/// Far longer than any run.
pub const RESULT_TTL: &str = "864000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Redis,
    Sqlite,
}

/// The size of a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub engine: Engine,
    pub seed: u64,
    /// Requests that are accepted; a workflow is one of them and several jobs.
    pub jobs: usize,
    pub kills: usize,
    pub stops: usize,
    pub suspends: usize,
    pub store_kills: usize,
    pub network: usize,
}

impl Settings {
    /// The short run, or what the environment asks for: `CHAOS_SEED`, `CHAOS_JOBS`, `CHAOS_KILLS`,
    /// `CHAOS_STOPS`, `CHAOS_SUSPENDS`, `CHAOS_STORE_KILLS`, `CHAOS_NETWORK`.
    pub fn from_environment(engine: Engine, seed: u64) -> Self {
        let number = |name: &str, usual: usize| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
            Err(_) => usual,
        };
        let redis = usize::from(engine == Engine::Redis);
        let kills = number("CHAOS_KILLS", 6);
        let stops = number("CHAOS_STOPS", kills / 4);
        Self {
            engine,
            seed: number("CHAOS_SEED", seed as usize) as u64,
            jobs: number("CHAOS_JOBS", 200).max(1),
            kills,
            stops,
            suspends: redis * number("CHAOS_SUSPENDS", stops.div_ceil(2)),
            store_kills: redis * number("CHAOS_STORE_KILLS", 2),
            network: redis * number("CHAOS_NETWORK", kills),
        }
    }

    /// Processes that run jobs.
    pub fn workers(&self) -> usize {
        if self.engine == Engine::Redis { 3 } else { 1 }
    }

    /// Jobs that one of them runs at once: a large run is to be done in reasonable time.
    pub fn slots(&self) -> usize {
        if self.jobs > 2_000 { 24 } else { 4 }
    }

    /// How many jobs may be under way.
    pub fn backlog(&self) -> usize {
        self.workers() * self.slots() * 4
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// `POST /results/task` with this priority.
    Task(&'static str),
    /// `POST /orchestrate`.
    Workflow { requires_qa: bool },
    /// `LPUSH` into this list by a foreign program.
    Foreign(&'static str),
}

/// A fault of a process's own network, on its way to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Jobs were leased, and the answer that says so is lost.
    LoseReserve(Loss),
    /// A job was finished, and the answer is lost.
    LoseFinish(Loss),
    /// Whatever comes next was done, and its answer is lost.
    LoseAny(Loss),
    /// All connections are reset.
    Reset,
    /// Answers come late for a while.
    Slow { by: Duration, lasts: Duration },
    /// Connections are half open for a while.
    Silent { lasts: Duration },
    /// What is sent arrives only later: writes of a process that has lost its leases meanwhile.
    Held { lasts: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a process; another one is started at once. 0 is the server.
    Kill(usize),
    /// SIGSTOP, and SIGCONT after this time.
    Stop(usize, Duration),
    /// SIGSTOP to all workers, for longer than a lease: another machine of the fleet, which only sweeps,
    /// takes their jobs away. When they go on, their answers are there and their leases are not.
    Suspend(Duration),
    /// SIGKILL to Redis, which is started again after this time.
    StoreKill(Duration),
    Network(usize, Trouble),
}

/// A fault and its moment.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// As soon as so many requests were accepted,
    pub after: usize,
    /// and this time has gone by.
    pub pause: Duration,
    pub fault: Fault,
}

/// All of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub settings: Settings,
    pub steps: Vec<Step>,
}

impl Plan {
    pub fn new(settings: Settings) -> Self {
        let mut dice = Dice::new(settings.seed);
        let mut faults = Vec::new();
        // The server is process 0; on the embedded store it is the only one.
        let last = if settings.engine == Engine::Redis { settings.workers() } else { 0 };
        for n in 0..settings.kills {
            // Every eighth kill is for the server, the others for those that run jobs.
            faults.push(Fault::Kill(if n % 8 == 7 { 0 } else { dice.between(last.min(1), last) }));
        }
        for _ in 0..settings.stops {
            let leases = dice.between(2, 3) as u32;
            faults.push(Fault::Stop(dice.between(last.min(1), last), LEASE * leases));
        }
        for _ in 0..settings.suspends {
            faults.push(Fault::Suspend(LEASE + dice.millis(300, 900)));
        }
        for _ in 0..settings.store_kills {
            faults.push(Fault::StoreKill(dice.millis(0, 600)));
        }
        // Every kind comes, from a kind that the seed chooses on.
        let first = dice.between(0, 10);
        for n in 0..settings.network {
            let trouble = trouble(first + n, &mut dice);
            // The server asks for little: only what hits any traffic of its own is worth it.
            let victim = match trouble {
                Trouble::LoseReserve(_) | Trouble::LoseFinish(_) => dice.between(1, last),
                _ => dice.between(0, last),
            };
            faults.push(Fault::Network(victim, trouble));
        }
        dice.shuffle(&mut faults);
        let apart = settings.jobs as f64 / (faults.len() + 1) as f64;
        let steps = faults.into_iter().enumerate().map(|(n, fault)| Step {
            after: (apart * (n + 1) as f64) as usize,
            pause: dice.millis(0, 60),
            fault,
        });
        Self { settings, steps: steps.collect() }
    }

    /// The n-th request: its kind and its text, which no other request has.
    pub fn demand(&self, n: usize) -> (Demand, String) {
        let mut dice = Dice::new(self.settings.seed ^ (n as u64 + 1).wrapping_mul(0x9e37_79b9));
        let redis = self.settings.engine == Engine::Redis;
        let demand = match dice.between(0, 99) {
            0..50 => Demand::Task(dice.one_of(&["high", "normal", "low"])),
            50..65 => Demand::Workflow { requires_qa: false },
            65..80 => Demand::Workflow { requires_qa: true },
            _ if redis => Demand::Foreign(dice.one_of(&["queue_high", "queue", "queue_low"])),
            _ => Demand::Task("normal"),
        };
        (demand, format!("Errand {n} of seed {}.", self.settings.seed))
    }
}

fn trouble(kind: usize, dice: &mut Dice) -> Trouble {
    let lasts = LEASE.mul_f64(1.0 + dice.between(0, 12) as f64 / 10.0);
    match kind % 11 {
        0 => Trouble::LoseReserve(Loss::Reset),
        1 => Trouble::LoseFinish(Loss::Reset),
        2 => Trouble::Silent { lasts },
        3 => Trouble::LoseReserve(Loss::Silence),
        4 => Trouble::Held { lasts },
        5 => Trouble::LoseFinish(Loss::Silence),
        6 => Trouble::Reset,
        7 => Trouble::LoseAny(Loss::Cut),
        8 => Trouble::Slow { by: dice.millis(20, 300), lasts },
        9 => Trouble::LoseFinish(Loss::Cut),
        _ => Trouble::LoseAny(Loss::Reset),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.steps.iter().enumerate() {
            writeln!(
                f,
                "  {:>3}  after {:>6} requests and {:>2} ms  {:?}",
                n + 1,
                step.after,
                step.pause.as_millis(),
                step.fault
            )?;
        }
        Ok(())
    }
}

/// Chance that is the same for the same seed, everywhere and always (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Both ends are possible.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + (self.next() % (most - least + 1) as u64) as usize
    }

    pub fn millis(&mut self, least: usize, most: usize) -> Duration {
        Duration::from_millis(self.between(least, most) as u64)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.between(0, all.len() - 1)]
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for n in (1..all.len()).rev() {
            all.swap(n, self.between(0, n));
        }
    }
}
