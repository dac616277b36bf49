//! What a registry makes of names.

use serde_json::json;

use super::*;

#[tokio::test]
async fn built_in_tools_are_had_by_name() {
    let registry = registry(stdio(&[]));
    assert_eq!(registry.names(), ["calculator", "current_time", "mcp:py"]);
    let toolbox = toolbox(&registry, &["current_time", "calculator", "calculator"]).await;
    assert_eq!(names(&toolbox), ["current_time", "calculator"]);
    assert_eq!(said(&toolbox, "calculator", json!({"expression": "12 * 12"})).await, "144");
    assert!(said(&toolbox, "current_time", json!({"utc_offset": "+02:00"})).await.contains("+02:00 ("));
    assert_eq!(toolbox.origin("calculator").as_deref(), Some("calculator"));
    assert_eq!(toolbox.origin("wings"), None);
    assert!(super::toolbox(&registry, &[]).await.is_empty());
}

#[tokio::test]
async fn unknown_names_are_named_all_at_once_and_nobody_is_started() {
    let registry = registry(stdio(&[]));
    let wanted = ["calculator", "wings", "mcp:files", "mcp:py", "mcp:", "mcp:py/echo"].map(str::to_owned);
    let error = registry.toolbox(&wanted).await.err().unwrap();
    assert_eq!(error.names, ["wings", "mcp:files", "mcp:"]);
    assert_eq!(
        error.to_string(),
        "unknown tools: wings, mcp:files, mcp:; there are calculator, current_time, mcp:py"
    );
    assert_eq!(registry.check(&wanted), Err(error));
    assert_eq!(registry.check(&wanted[..1]), Ok(()));
}

#[tokio::test]
async fn names_of_servers_and_single_tools_go_together() {
    let registry = registry(stdio(&[]));
    let all = toolbox(&registry, &["mcp:py/echo", "mcp:py", "mcp:py/pid"]).await;
    assert_eq!(all.specs().len(), 15);
    let one = toolbox(&registry, &["mcp:py/odd.name/of:tool"]).await;
    assert_eq!(one.specs().len(), 1);
    registry.stop().await;
}
