//! `limit` and `cursor`: the same rules on every listing.

use crate::support::engines::Engine;

on_both_engines!(
    a_limit_is_a_number_within_its_bounds,
    a_limit_that_is_no_number_is_told_in_the_legacy_words,
    a_cursor_that_is_none_is_a_bad_field_and_never_an_accident,
    bad_limit_and_bad_cursor_are_named_together,
    unknown_parameters_are_ignored_and_the_last_of_two_counts,
);

const LISTINGS: [(&str, usize); 3] =
    [("/workflows", 500), ("/results/", 1_000), ("/results/agent/qa_bot", 1_000)];

async fn a_limit_is_a_number_within_its_bounds(engine: Engine) {
    let app = engine.app().start().await;
    for (path, max) in LISTINGS {
        for good in [1, max] {
            app.get(&format!("{path}?limit={good}")).await.ok();
        }
        let kind = async |limit: String| {
            let answer = app.get(&format!("{path}?limit={limit}")).await;
            let fields = answer.bad_fields();
            assert_eq!(fields[0].1, "query.limit");
            fields[0].0.clone()
        };
        for zero in ["0", "-1", "-99999999999999999999"] {
            assert_eq!(kind(zero.to_owned()).await, "greater_than_equal");
        }
        for large in [(max + 1).to_string(), "99999999999999999999".to_owned()] {
            assert_eq!(kind(large).await, "less_than_equal");
        }
        for wrong in ["abc", "", "1.5", "1e2", "0x10", "%00"] {
            assert_eq!(kind(wrong.to_owned()).await, "int_parsing");
        }
    }
}

async fn a_limit_that_is_no_number_is_told_in_the_legacy_words(engine: Engine) {
    let app = engine.app().start().await;
    let detail = app.get("/workflows?limit=abc").await.problem(422);
    assert_eq!(
        detail.to_string(),
        r#"[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"abc"}]"#
    );
}

async fn a_cursor_that_is_none_is_a_bad_field_and_never_an_accident(engine: Engine) {
    let app = engine.app().start().await;
    for (path, _) in LISTINGS {
        for cursor in ["x", "%00", "....", "MTIz", "bm90IGEgY3Vyc29y", "%ff", "-_-_", "W10", "bnVsbA"] {
            let answer = app.get(&format!("{path}?cursor={cursor}")).await;
            let expected = [("cursor_invalid".to_owned(), "query.cursor".to_owned())];
            assert_eq!(answer.bad_fields(), expected, "{path} {cursor}");
        }
        // A form sends the fields that nobody filled in as well.
        app.get(&format!("{path}?cursor=")).await.ok();
    }
}

async fn bad_limit_and_bad_cursor_are_named_together(engine: Engine) {
    let app = engine.app().start().await;
    assert_eq!(app.get("/workflows?limit=x&cursor=!").await.bad_fields().len(), 2);
}

async fn unknown_parameters_are_ignored_and_the_last_of_two_counts(engine: Engine) {
    let app = engine.app().start().await;
    app.get("/workflows?page=2&limit=abc&limit=3&&=&x").await.ok();
}
