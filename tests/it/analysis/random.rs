//! Properties that hold for all files, paths and patterns.

use productforge::analysis::{
    Limits, MemoryFiles, analyse,
    browse::{self, Search},
    citation, findings, report,
};
use proptest::prelude::*;

fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        "([a-c]{1,2}/){0,3}[a-c]{1,3}\\.(rs|py|js|toml|json|xml)",
        "(Cargo.toml|package.json|pyproject.toml|pom.xml|go.mod|Gemfile|Dockerfile|setup.cfg|\\.gitignore|\\.env)",
        "\\PC{1,20}",
        any::<String>(),
    ]
}

/// A path as models may cite it, without the marks that they put around one.
fn plain_path() -> impl Strategy<Value = String> {
    prop_oneof!["([a-c:#0-9 .é-]{1,4}/){0,3}[a-cé]{1,3}[a-c:#L0-9.-]{0,6}", "[a-z]{1,9}\\.rs"]
        .prop_filter("it is a way of writing another path", |path| path.trim() == path)
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[a-z /*\"'#`\\\\\n<>{}=:!\\[\\]-]{0,200}".prop_map(String::into_bytes),
        "(\\PC|\n|\t|\r){0,100}".prop_map(String::into_bytes),
    ]
}

fn files() -> impl Strategy<Value = MemoryFiles> {
    proptest::collection::btree_map(path(), content(), 0..8).prop_map(MemoryFiles::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_analysis_accounts_for_every_file(files in files()) {
        use productforge::analysis::Files;
        let analysis = analyse(&files, &Limits::default());
        let totals = &analysis.totals;
        prop_assert_eq!(totals.files, files.list().len() as u64);
        prop_assert_eq!(totals.files, totals.ignored_files + totals.text_files + totals.binary_files);
        prop_assert_eq!(analysis.tree.files, totals.files - totals.ignored_files);
        for row in &analysis.languages {
            prop_assert_eq!(row.lines, row.code + row.comments + row.blanks);
        }
        let report = report::markdown(&analysis);
        prop_assert!(!report.contains("<") || !report.contains("</"));
    }

    #[test]
    fn every_line_can_be_read_and_cited(lines in proptest::collection::vec("[^\n\r\x00\u{feff}]{0,40}", 1..20), name in plain_path()) {
        let text = lines.join("\n") + "\n";
        let files = MemoryFiles::new([(name.clone(), text)]);
        let count = lines.len() as u64;
        for line in 1..=count {
            let answer = browse::read_range(&files, &name, Some(line), Some(line), 10_000).unwrap();
            let begin = format!("{line:>6}  ");
            prop_assert!(answer.starts_with(&begin), "{}", answer);
            prop_assert!(citation::check(&files, &format!("{name}:{line}")).exists, "{}:{}", name, line);
        }
        prop_assert!(browse::read_range(&files, &name, Some(count + 1), None, 10_000).is_err());
        let citation = citation::check(&files, &format!("{name}:{}", count + 1));
        prop_assert!(!citation.exists && citation.reason.is_some());
    }

    #[test]
    fn a_search_finds_the_lines_that_hold_the_text(
        lines in proptest::collection::vec("[a-c. ]{0,8}", 1..20), pattern in "[a-c.]{1,3}"
    ) {
        let files = MemoryFiles::new([("p/a.txt", lines.join("\n"))]);
        let search = Search { pattern: &pattern, is_literal: true, glob: Some("*.txt"), limit: 1_000 };
        let answer = browse::search(&files, &search).unwrap();
        let found = answer.lines().filter_map(|row| row.strip_prefix("p/a.txt:")?.split(':').next()?.parse().ok());
        let expected = lines.iter().zip(1..).filter(|(line, _)| line.contains(&pattern)).map(|(_, number)| number);
        prop_assert_eq!(found.collect::<Vec<usize>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn whatever_is_asked_is_answered_within_bounds(
        files in files(), path in path(), pattern in any::<String>(), glob in "[a-c*?{}\\[\\],/!.]{0,12}",
        first in any::<Option<u64>>(), last in any::<Option<u64>>(), bytes in 0usize..5_000, limit in any::<usize>(),
    ) {
        let answers = [
            browse::list(&files, &path, Some(&glob), limit),
            browse::list(&files, &path, None, limit),
            browse::read_range(&files, &path, first, last, bytes),
            browse::search(&files, &Search { pattern: &pattern, is_literal: false, glob: Some(&glob), limit }),
        ];
        for answer in answers {
            let text = answer.unwrap_or_else(|error| error.to_string());
            prop_assert!(!text.is_empty() || path.is_empty());
            prop_assert!(text.len() <= browse::MAX_ANSWER_BYTES + 500);
        }
    }

    #[test]
    fn mentions_are_parts_of_the_text(text in "[a-c/.:#`L0-9 \n\\[\\]()é–-]{0,200}", any in any::<String>()) {
        for text in [text, any] {
            let mut end = 0;
            for mention in citation::find(&text) {
                prop_assert!(mention.start >= end && mention.end <= text.len());
                prop_assert!(text[mention.start..mention.end].contains(&mention.path));
                end = mention.end;
            }
            let _ = findings::parse(&text, &MemoryFiles::default());
        }
    }
}
