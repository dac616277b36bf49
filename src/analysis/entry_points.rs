//! Where programs begin, as their source tells.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    EntryPoint, languages,
    model::EntryKind::{self, Main, Script},
    text::{self, LineCounter},
};

/// What begins a program in files with these extensions.
struct Rule {
    extensions: &'static [&'static str],
    regex: Regex,
    /// What has to be somewhere in the file too.
    also: Option<Regex>,
    why: &'static str,
}

type Pattern = (&'static [&'static str], &'static str, Option<&'static str>, &'static str);

const PATTERNS: &[Pattern] = &[
    (&["rs"], r"(?m)^(?:pub )?(?:async )?fn main\s*\(", None, "function main"),
    (&["py", "pyw"], r#"(?m)^if\s+__name__\s*==\s*["']__main__["']"#, None, "runs when the file is started"),
    (&["go"], r"(?m)^func main\(\)", Some(r"(?m)^package main\b"), "function main of package main"),
    (&["java"], r"\bpublic\s+static\s+(?:final\s+)?void\s+main\s*\(", None, "method main"),
    (&["kt", "kts"], r"(?m)^(?:suspend )?fun main\s*\(", None, "function main"),
    (&["scala"], r"\bdef main\s*\(|\bextends App\b|@main\b", None, "method main"),
    (
        &["c", "cc", "cpp", "cxx", "c++", "m", "mm"],
        r"(?m)^\s{0,4}(?:extern\s+\x22C\x22\s+)?(?:int|void|auto)\s+(?:w)?main\s*\(",
        None,
        "function main",
    ),
    (&["cs"], r"\bstatic\s+(?:async\s+)?(?:void|int|Task|Task<int>)\s+Main\s*\(", None, "method Main"),
    (&["cs"], r"\bWebApplication\.CreateBuilder\(", None, "web application"),
    (&["dart"], r"(?m)^(?:void |Future<void> )?main\s*\(", None, "function main"),
    (&["swift"], r"(?m)^@main\b", None, "type marked as main"),
    (&["zig"], r"(?m)^pub fn main\s*\(", None, "function main"),
    (&["hs"], r"(?m)^main\s*::\s*IO\b", None, "action main"),
    (&["js", "cjs"], r"\brequire\.main\s*===?\s*module\b", None, "runs when the file is started"),
    (
        &["js", "mjs", "cjs", "ts", "mts"],
        r"(?m)^\s{0,4}(?:[\w.]{1,40}\.)?(?:app|server|fastify)\.listen\s*\(",
        None,
        "listens for connections",
    ),
    (
        &["py"],
        r"(?m)^(?:app|application)\s*=\s*(?:Flask|FastAPI|Starlette|Quart|Sanic|get_[aw]sgi_application)\s*\(",
        None,
        "web application",
    ),
    (&["rb"], r"(?m)^if\s+__FILE__\s*==\s*\$(?:0|PROGRAM_NAME)", None, "runs when the file is started"),
];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |(extensions, regex, also, why): &Pattern| {
        let also = match also {
            Some(also) => Some(Regex::new(also).ok()?),
            None => None,
        };
        Some(Rule { extensions, regex: Regex::new(regex).ok()?, also, why })
    };
    PATTERNS.iter().filter_map(rule).collect()
});

/// Files that are started by their names, without a mark in them.
const NAMES: &[(&str, &str)] = &[
    ("__main__.py", "runs as python -m"),
    ("manage.py", "commands of Django"),
    ("wsgi.py", "web application"),
    ("asgi.py", "web application"),
    ("config.ru", "web application"),
    ("artisan", "commands of Laravel"),
];

/// The entry points of a file. At most one of a kind, and the place is where it stands first.
pub(super) fn find(path: &str, content: &str) -> Vec<EntryPoint> {
    let name = text::file_name(path);
    let extension = text::extension(path);
    let mut found: Vec<EntryPoint> = Vec::new();
    let mut add = |line: Option<u64>, kind: EntryKind, why: String| {
        if !found.iter().any(|entry| entry.kind == kind) {
            found.push(EntryPoint { path: path.to_owned(), line, kind, why });
        }
    };
    for rule in RULES.iter().filter(|rule| rule.extensions.contains(&extension.as_str())) {
        if let Some(hit) = rule.regex.find(content)
            && rule.also.as_ref().is_none_or(|also| also.is_match(content))
        {
            let skipped = hit.as_str().len() - hit.as_str().trim_start().len();
            let line = LineCounter::new(content.as_bytes()).line(hit.start() + skipped);
            let is_build = extension == "rs" && name == "build.rs";
            add(Some(line), Main, if is_build { "build script".to_owned() } else { rule.why.to_owned() });
        }
    }
    if let Some((_, why)) = NAMES.iter().find(|(known, _)| *known == name) {
        add(None, Main, (*why).to_owned());
    }
    if let Some(program) = languages::interpreter(content) {
        add(Some(1), Script, format!("script for {}", text::shown(program, 40)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(RULES.len(), PATTERNS.len());
    }

    #[test]
    fn programs_begin_where_their_language_says() {
        for (path, content, line, why) in [
            ("src/main.rs", "use x;\n\nfn main() {}\n", Some(3), "function main"),
            ("build.rs", "fn main() {}\n", Some(1), "build script"),
            ("a.py", "x\nif __name__ == '__main__':\n", Some(2), "runs when the file is started"),
            ("pkg/__main__.py", "x\n", None, "runs as python -m"),
            ("cmd/a.go", "package main\n\nfunc main() {\n", Some(3), "function main of package main"),
            ("A.java", "class A {\n  public static void main(String[] a) {\n", Some(2), "method main"),
            ("a.c", "\n\nint main(void) {\n", Some(3), "function main"),
            ("P.cs", "static async Task Main(string[] a)\n", Some(1), "method Main"),
            ("bin/x", "#!/usr/bin/env ruby\n", Some(1), "script for ruby"),
            ("s.ts", "const a = 1;\napp.listen(3000);\n", Some(2), "listens for connections"),
        ] {
            let found = find(path, content);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            assert_eq!((found[0].line, found[0].why.as_str()), (line, why), "{path}");
        }
    }

    #[test]
    fn other_files_begin_nothing() {
        for (path, content) in [
            ("a.go", "package a\n\nfunc main() {\n"),
            ("lib.rs", "/// fn main() {}\nfn mainly() {}\n"),
            ("a.py", "print('__main__')\n"),
        ] {
            assert_eq!(find(path, content), [], "{path}");
        }
    }
}
