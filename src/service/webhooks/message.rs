//! What is sent: a small JSON text, and the headers of the Standard Webhooks convention that prove who sends it.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::model::{Delivery, Timestamp, iso};

/// The text; the same for every try.
pub(super) fn body(delivery: &Delivery) -> String {
    let status = delivery.event.as_str();
    json!({
        "type": format!("workflow.{status}"),
        "timestamp": iso::format(&delivery.at),
        "data": {"workflow_id": delivery.workflow_id, "status": status},
    })
    .to_string()
}

/// The headers. The time is that of the try, so that receivers can refuse what is old.
pub(super) fn headers(
    delivery: &Delivery,
    secret: &[u8],
    body: &str,
    now: Timestamp,
) -> [(&'static str, String); 3] {
    let (id, time) = (&delivery.delivery_id, now.timestamp());
    let signature = sign(secret, &format!("{id}.{time}.{body}"));
    [
        ("webhook-id", id.clone()),
        ("webhook-timestamp", time.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

fn sign(secret: &[u8], text: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_convention() {
        // The example of the specification of Standard Webhooks.
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let text = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        assert_eq!(sign(&secret, text), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
