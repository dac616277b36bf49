//! Uploads as they are listed, and what their files are called.

use serde_json::json;

use super::uploads::{archive, upload};
use crate::support::engines::Engine;

on_both_engines!(
    twenty_uploads_are_listed_unless_told_otherwise,
    a_file_keeps_the_letters_of_its_name,
    fifty_mebibytes_are_accepted_and_kept_for_a_week_unless_told_otherwise,
);

async fn twenty_uploads_are_listed_unless_told_otherwise(engine: Engine) {
    let app = engine.app().start().await;
    let bytes = archive(&[("a.txt", "a")]);
    for n in 0..22 {
        upload(&app, &format!("{n}.zip"), &bytes).await.ok();
    }
    let list = app.get("/upload/list").await.ok();
    assert_eq!(list["count"], 20);
    let names: Vec<_> = list["uploads"].as_array().unwrap().iter().map(|u| u["filename"].clone()).collect();
    assert_eq!((names.len(), &names[0], &names[19]), (20, &json!("21.zip"), &json!("2.zip")));
    assert_eq!(app.get("/upload/list?limit=5").await.ok()["count"], 5);
    assert_eq!(app.get("/upload/list?limit=0").await.bad_fields()[0].1, "query.limit");
}

async fn a_file_keeps_the_letters_of_its_name(engine: Engine) {
    let app = engine.app().start().await;
    let bytes = archive(&[("a.txt", "a")]);
    // In the path every other character than ASCII letters and digits is `_`: all stores take such names.
    for (name, kept, stored) in [
        ("Größe 漢字 (1).zip", "Größe_漢字__1_.zip", "Gr__e_____1_.zip"),
        ("a-b_c.d.zip", "a-b_c.d.zip", "a-b_c.d.zip"),
        ("..;x.zip", ".._x.zip", ".._x.zip"),
    ] {
        let receipt = upload(&app, name, &bytes).await.ok();
        assert_eq!(receipt["filename"], kept);
        let id = receipt["upload_id"].as_str().unwrap();
        assert_eq!(receipt["path"], format!("workspace/uploads/{id}_{stored}"));
    }
}

async fn fifty_mebibytes_are_accepted_and_kept_for_a_week_unless_told_otherwise(engine: Engine) {
    let app = engine.app().start().await;
    let refused = upload(&app, "large.zip", &vec![7; 52_428_801]).await;
    assert_eq!(refused.problem(413), "File too large (max 50MB)");
    assert_eq!(upload(&app, "x.zip", &vec![7; 52_428_800]).await.bad_fields()[0].0, "not_a_zip");
    let receipt = upload(&app, "a.zip", &archive(&[("a.txt", "a")])).await.ok();
    let path = format!("/upload/{}", receipt["upload_id"].as_str().unwrap());
    let shown = app.get(&path).await.ok();
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(shown[field].as_str().unwrap()).unwrap();
    assert_eq!((time("expires_at") - time("uploaded_at")).num_days(), 7);
}
