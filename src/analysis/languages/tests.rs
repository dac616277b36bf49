use super::*;

fn counted(path: &str, text: &str) -> (u64, u64, u64) {
    let syntax = detect(path, text).unwrap_or_else(|| panic!("no language for {path}"));
    let lines = count(text, syntax);
    (lines.code, lines.comments, lines.blanks)
}

#[test]
fn every_line_is_code_comment_or_blank() {
    for (path, text, expected) in [
        ("a.c", "int a; // x\n/* b\n\n c */ int d;\n// e\n\t\n", (2, 2, 2)),
        ("a.c", "char *s = \"/*\";\nint x;\n", (2, 0, 0)),
        ("a.c", "char c = '\"'; /* x\n*/\n", (1, 1, 0)),
        ("a.rs", "/* a /* b */ c */\nlet x = '\"'; // \"\nlet y = r#\"\n// no\n\"#;\n", (4, 1, 0)),
        ("a.rs", "fn f<'a>(x: &'a str) {}\n// c\n", (1, 1, 0)),
        ("a.py", "\"\"\"Doc.\n\nMore.\n\"\"\"\nx = \"\"\"\n# text\n\"\"\"\n# c\n", (3, 4, 1)),
        ("a.py", "f(\n    \"\"\"a\n    b\"\"\"\n)\n", (4, 0, 0)),
        ("a.py", "def f():\n    '''One.'''\n    return '#'\n", (2, 1, 0)),
        ("a.py", "x = \\\n'''a\nb'''\n", (3, 0, 0)),
        ("a.js", "x = /[`'\"/*]/;\n// c\ny = `\n// text\n`;\n", (4, 1, 0)),
        ("a.js", "x = a / b; // c\n/* d */\n", (1, 1, 0)),
        ("a.js", "x = 'a\\\n// b';\n// c\n", (2, 1, 0)),
        ("a.rb", "=begin\nx\n=end\nputs 'a#{b}' # c\n", (1, 3, 0)),
        ("a.sh", "echo $# ${a#b} \"#\"\n# c\n", (1, 1, 0)),
        ("a.html", "<p>\n<!-- a\nb -->\n</p>", (2, 2, 0)),
        ("a.css", "a { } /* b */\n/* c\n*/\n", (1, 2, 0)),
        ("a.lua", "--[[ a\nb ]] x = 1\n-- c\n", (1, 2, 0)),
        ("a.json", "{\n}\n", (2, 0, 0)),
        ("a.md", "# Title\n\ntext\n", (2, 0, 1)),
    ] {
        assert_eq!(counted(path, text), expected, "{path}: {text}");
    }
}

#[test]
fn the_last_line_counts_without_its_end() {
    assert_eq!(counted("a.c", ""), (0, 0, 0));
    assert_eq!(counted("a.c", "\n"), (0, 0, 1));
    assert_eq!(counted("a.c", "a"), (1, 0, 0));
    assert_eq!(counted("a.c", "a\r\n\r\nb"), (2, 0, 1));
}

#[test]
fn programs_in_the_first_line_tell_the_language() {
    for (text, name) in [
        ("#!/usr/bin/env python3\n", "Python"),
        ("#!/usr/bin/python3.11 -u\n", "Python"),
        ("#!/bin/sh\n", "Shell"),
        ("#!/usr/bin/env -S A=b node --x\n", "JavaScript"),
    ] {
        assert_eq!(detect("bin/tool", text).map(|syntax| syntax.name), Some(name), "{text}");
    }
    assert!(detect("bin/tool", "hello").is_none());
}

#[test]
fn hostile_texts_take_time_in_proportion() {
    for pattern in [
        "/*",
        "\"\n/*\n",
        "/// ```rust\n",
        "<script>x</script>",
        "<!--",
        "`",
        "\"\"\"",
        "/",
        "[/",
        "= / ",
        "{",
        "\\",
    ] {
        let text = pattern.repeat(200_000);
        let lines = text.lines().count() as u64;
        for path in ["a.c", "a.rs", "a.py", "a.js", "a.html", "a.md", "a.ml"] {
            let (code, comments, blanks) = counted(path, &text);
            assert_eq!(code + comments + blanks, lines, "{pattern} in {path}");
        }
    }
}

#[test]
fn no_two_languages_claim_the_same() {
    for words in [|s: &Syntax| s.extensions, |s: &Syntax| s.names, |s: &Syntax| s.interpreters] {
        let all: Vec<&str> = LANGUAGES.iter().flat_map(words).copied().collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(all.len(), unique.len());
    }
}
