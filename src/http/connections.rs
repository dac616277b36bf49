//! How many connections there are, in all and of one address, so that nobody takes the place of all others.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::client_ip::network;

/// The connections that are open.
#[derive(Debug, Clone)]
pub struct Connections {
    most: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    address: Option<IpAddr>,
    connections: Connections,
    has_room: bool,
}

impl Connections {
    pub fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Takes a place. An address may have half of them; `None` stands for who speaks for many: proxies, this machine.
    pub fn take(&self, address: Option<IpAddr>) -> Place {
        let address = address.map(network);
        let mut open = self.lock();
        open.all += 1;
        let mut has_room = open.all <= self.most;
        if let Some(address) = address {
            let of_address = open.by_address.entry(address).or_default();
            *of_address += 1;
            has_room &= *of_address <= (self.most / 2).max(1);
        }
        Place { address, connections: self.clone(), has_room }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether it is one of those that are answered.
    pub fn has_room(&self) -> bool {
        self.has_room
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all -= 1;
        if let Some(address) = self.address
            && let Some(of_address) = open.by_address.get_mut(&address)
        {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_half_of_the_places_at_the_most_and_who_leaves_makes_room() {
        let connections = Connections::new(4);
        let (one, other) = (Some("203.0.113.1".parse().unwrap()), Some("203.0.113.2".parse().unwrap()));
        let mut places: Vec<_> = (0..3).map(|_| connections.take(one)).collect();
        assert_eq!(places.iter().map(Place::has_room).collect::<Vec<_>>(), [true, true, false]);
        places.clear();
        let both = [connections.take(one), connections.take(other), connections.take(other)];
        assert!(both.iter().all(Place::has_room));
        let (fourth, fifth) = (connections.take(None), connections.take(None));
        assert!(fourth.has_room() && !fifth.has_room(), "four in all");
        drop((both, fourth, fifth));
        assert!(connections.lock().by_address.is_empty() && connections.lock().all == 0);
    }
}
