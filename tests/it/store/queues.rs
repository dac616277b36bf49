//! Three queues: order, what a reservation takes, and how much waits.

use productforge::store::{Change, Enqueue, LeaseEnd, Queue, QueueDepth};

use super::{fixtures::*, harness::Harness};

on_every_store!(
    an_empty_store_has_no_work,
    payloads_come_oldest_first,
    payloads_come_in_strict_order_of_priority,
    one_reservation_reaches_over_all_queues,
    a_reservation_takes_no_more_than_asked_for,
    what_is_taken_is_not_taken_again,
    a_payload_is_opaque_bytes,
    equal_payloads_are_separate_jobs,
    tokens_are_fresh_and_rise,
    one_change_enqueues_in_the_order_given,
    a_job_enqueued_when_another_finishes_stands_at_the_back,
    the_depth_is_true_at_every_stage,
    a_reservation_takes_in_the_order_it_names,
    a_queue_that_is_not_named_is_left_alone,
);

async fn an_empty_store_has_no_work(h: &mut dyn Harness) {
    let store = h.store();
    assert!(take(&*store, 100).await.is_empty());
    assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
}

async fn payloads_come_oldest_first(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2", "3", "4"]).await;
    assert_eq!(payloads(&take(&*store, 3).await), ["1", "2", "3"]);
    enqueue(&*store, &["5"]).await;
    assert_eq!(payloads(&take(&*store, 3).await), ["4", "5"]);
}

async fn payloads_come_in_strict_order_of_priority(h: &mut dyn Harness) {
    let store = h.store();
    for (queue, payload) in [(Queue::Low, "l"), (Queue::Normal, "n"), (Queue::High, "h")] {
        made(&*store, Change::new().enqueue(job(queue, payload))).await;
    }
    for (queue, payload) in [(Queue::High, "h"), (Queue::Normal, "n"), (Queue::Low, "l")] {
        let delivery = take_one(&*store).await;
        assert_eq!(delivery.queue, queue);
        assert_eq!(delivery.payload, payload.as_bytes());
        assert_eq!(delivery.crashes, 0);
    }
}

async fn one_reservation_reaches_over_all_queues(h: &mut dyn Harness) {
    let store = h.store();
    for (queue, payload) in [
        (Queue::Low, "l1"),
        (Queue::High, "h1"),
        (Queue::Normal, "n1"),
        (Queue::High, "h2"),
        (Queue::Low, "l2"),
    ] {
        made(&*store, Change::new().enqueue(job(queue, payload))).await;
    }
    assert_eq!(payloads(&take(&*store, 4).await), ["h1", "h2", "n1", "l1"]);
    assert_eq!(payloads(&take(&*store, 4).await), ["l2"]);
}

async fn a_reservation_takes_no_more_than_asked_for(h: &mut dyn Harness) {
    let store = h.store();
    for block in 0..3 {
        let change = (0..100).fold(Change::new(), |change, n| {
            change.enqueue(job(Queue::Normal, &format!("{}", block * 100 + n)))
        });
        made(&*store, change).await;
    }
    let mut taken = Vec::new();
    for limit in [1, 7, 100, 100, 92, 100] {
        let deliveries = take(&*store, limit).await;
        assert!(deliveries.len() <= limit);
        taken.extend(payloads(&deliveries));
    }
    assert_eq!(taken, (0..300).map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn what_is_taken_is_not_taken_again(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1"]).await;
    let first = take_one(&*store).await;
    assert!(take(&*store, 10).await.is_empty());
    made(&*store, Change::new().under(first.token, LeaseEnd::Finish)).await;
    assert!(take(&*store, 10).await.is_empty());
    assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
}

async fn a_payload_is_opaque_bytes(h: &mut dyn Harness) {
    let store = h.store();
    let odd: Vec<Vec<u8>> = vec![
        (0..=255).collect(),
        Vec::new(),
        vec![0],
        vec![0xff, 0xfe, 0x80, 0xc3, 0x28],
        br#"{"id":12345678901234567890,"x":1.0000000000000001,"y":[],"z":{}}"#.to_vec(),
        b"\r\n$5\r\nhello\r\n".to_vec(),
        vec![b'x'; 200_000],
    ];
    for payload in &odd {
        let entry = Enqueue { queue: Queue::Normal, payload: payload.clone(), due_at: None };
        made(&*store, Change::new().enqueue(entry)).await;
    }
    for payload in &odd {
        assert_eq!(&take_one(&*store).await.payload, payload);
    }
    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.sweep(100).await.unwrap().len(), odd.len());
    let mut again: Vec<_> = take(&*store, 100).await.into_iter().map(|delivery| delivery.payload).collect();
    again.sort();
    let mut expected = odd;
    expected.sort();
    assert_eq!(again, expected);
}

async fn equal_payloads_are_separate_jobs(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["same", "same", "same"]).await;
    assert_eq!(store.depth().await.unwrap().normal, 3);
    let taken = take(&*store, 2).await;
    assert_eq!(payloads(&taken), ["same", "same"]);
    made(&*store, Change::new().under(taken[0].token, LeaseEnd::Finish)).await;
    assert_eq!(store.renew(&tokens(&taken), LEASE_MS).await.unwrap(), [false, true]);
    assert_eq!(payloads(&take(&*store, 9).await), ["same"]);
    assert_eq!(store.depth().await.unwrap().leased, 2);
}

async fn tokens_are_fresh_and_rise(h: &mut dyn Harness) {
    let store = h.store();
    let mut last = None;
    for _ in 0..5 {
        enqueue(&*store, &["1", "2", "3"]).await;
        for delivery in take(&*store, 3).await {
            assert!(last < Some(delivery.token), "{last:?} then {:?}", delivery.token);
            last = Some(delivery.token);
            made(&*store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
        }
    }
}

async fn one_change_enqueues_in_the_order_given(h: &mut dyn Harness) {
    let store = h.store();
    let change = ["1", "2", "3"].into_iter().fold(Change::new(), |c, p| c.enqueue(job(Queue::Low, p)));
    made(&*store, change).await;
    assert_eq!(payloads(&take(&*store, 3).await), ["1", "2", "3"]);
}

async fn a_job_enqueued_when_another_finishes_stands_at_the_back(h: &mut dyn Harness) {
    let store = h.store();
    enqueue(&*store, &["1", "2"]).await;
    let first = take_one(&*store).await;
    let next = Change::new().under(first.token, LeaseEnd::Finish).enqueue(job(Queue::Normal, "1 again"));
    made(&*store, next).await;
    let rest = take(&*store, 9).await;
    assert_eq!(payloads(&rest), ["2", "1 again"]);
    assert_eq!(rest[1].crashes, 0);
}

async fn the_depth_is_true_at_every_stage(h: &mut dyn Harness) {
    let store = h.store();
    let soon = store.now().await.unwrap() + 60_000;
    made(
        &*store,
        Change::new()
            .enqueue(job(Queue::High, "h"))
            .enqueue(job(Queue::Normal, "n1"))
            .enqueue(job(Queue::Normal, "n2"))
            .enqueue(job(Queue::Low, "l1"))
            .enqueue(job(Queue::Low, "l2"))
            .enqueue(job(Queue::Low, "l3"))
            .enqueue(job_at(Queue::High, "later", soon)),
    )
    .await;
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 1, normal: 2, low: 3, due: 1, leased: 0, ..QueueDepth::default() });
    assert_eq!((depth.ready(), depth.open()), (6, 7));

    let taken = take(&*store, 4).await;
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 0, normal: 0, low: 2, due: 1, leased: 4, ..QueueDepth::default() });

    made(&*store, Change::new().under(taken[0].token, LeaseEnd::Finish)).await;
    made(&*store, Change::new().under(taken[1].token, LeaseEnd::Requeue)).await;
    made(&*store, Change::new().under(taken[2].token, LeaseEnd::Keep)).await;
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 0, normal: 1, low: 2, due: 1, leased: 2, ..QueueDepth::default() });

    h.age(OVER_A_MINUTE_MS).await;
    assert_eq!(store.depth().await.unwrap(), depth);
    store.sweep(100).await.unwrap();
    store.promote(100).await.unwrap();
    let depth = store.depth().await.unwrap();
    assert_eq!(depth, QueueDepth { high: 1, normal: 2, low: 3, due: 0, leased: 0, ..QueueDepth::default() });

    for delivery in take(&*store, 100).await {
        made(&*store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
    }
    assert_eq!(store.depth().await.unwrap(), QueueDepth::default());
}

async fn a_reservation_takes_in_the_order_it_names(h: &mut dyn Harness) {
    let store = h.store();
    let orders = [
        ([Queue::High, Queue::Normal, Queue::Low], ["h1", "h2", "n1", "n2", "l1", "l2"]),
        ([Queue::High, Queue::Low, Queue::Normal], ["h1", "h2", "l1", "l2", "n1", "n2"]),
        ([Queue::Normal, Queue::High, Queue::Low], ["n1", "n2", "h1", "h2", "l1", "l2"]),
        ([Queue::Normal, Queue::Low, Queue::High], ["n1", "n2", "l1", "l2", "h1", "h2"]),
        ([Queue::Low, Queue::High, Queue::Normal], ["l1", "l2", "h1", "h2", "n1", "n2"]),
        ([Queue::Low, Queue::Normal, Queue::High], ["l1", "l2", "n1", "n2", "h1", "h2"]),
    ];
    for (order, expected) in orders {
        for n in 1..=2 {
            for (queue, letter) in [(Queue::High, "h"), (Queue::Normal, "n"), (Queue::Low, "l")] {
                made(&*store, Change::new().enqueue(job(queue, &format!("{letter}{n}")))).await;
            }
        }
        // In one go, and with a border within a queue and one between two.
        let (first, second) = (take_in(&*store, 3, order).await, take_in(&*store, 9, order).await);
        let taken: Vec<_> = first.into_iter().chain(second).collect();
        assert_eq!(payloads(&taken), expected, "in the order {order:?}");
        let from: Vec<&str> = taken.iter().map(|delivery| delivery.queue.name()).collect();
        assert_eq!(from, order.map(|queue| [queue.name(); 2]).concat());
        for delivery in taken {
            made(&*store, Change::new().under(delivery.token, LeaseEnd::Finish)).await;
        }
    }
}

async fn a_queue_that_is_not_named_is_left_alone(h: &mut dyn Harness) {
    let store = h.store();
    for (queue, payload) in [(Queue::High, "h"), (Queue::Normal, "n"), (Queue::Low, "l")] {
        made(&*store, Change::new().enqueue(job(queue, payload))).await;
    }
    let taken = take_in(&*store, 9, [Queue::Low, Queue::High, Queue::Low]).await;
    assert_eq!(payloads(&taken), ["l", "h"]);
    assert_eq!(store.depth().await.unwrap().normal, 1);
}
