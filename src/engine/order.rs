//! In which order a worker looks into the queues.

use crate::model::Priority;

/// Everything urgent first, always. Low work can wait for ever while there is other work.
pub const STRICT: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// Which queue comes first in ten looks in a row: 6 times high, 3 times normal, once low, spread out.
const TURNS: [Priority; 10] = [
    Priority::High,
    Priority::Normal,
    Priority::High,
    Priority::High,
    Priority::Normal,
    Priority::High,
    Priority::Low,
    Priority::High,
    Priority::Normal,
    Priority::High,
];

/// The order of the `n`-th look where every queue is to be first now and then: whoever waits there is
/// served, however much urgent work there is. The other two follow in order of priority.
pub fn weighted(n: u64) -> [Priority; 3] {
    let first = TURNS[(n % TURNS.len() as u64) as usize];
    let mut order = [first; 3];
    let others = STRICT.iter().filter(|priority| **priority != first);
    for (place, other) in order[1..].iter_mut().zip(others) {
        *place = *other;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_ten_looks_high_is_first_six_times_normal_three_times_and_low_once() {
        for start in [0, 7, u64::MAX - 15] {
            let first = |p| (start..start + 10).filter(|n| weighted(*n)[0] == p).count();
            let counts = [first(Priority::High), first(Priority::Normal), first(Priority::Low)];
            assert_eq!(counts, [6, 3, 1]);
        }
    }

    #[test]
    fn every_look_sees_every_queue_once_and_the_rest_by_priority() {
        for n in 0..10 {
            let order = weighted(n);
            for priority in STRICT {
                assert_eq!(order.iter().filter(|p| **p == priority).count(), 1, "{n}");
            }
            let rest: Vec<_> = STRICT.into_iter().filter(|p| *p != order[0]).collect();
            assert_eq!(order[1..], rest);
        }
    }
}
