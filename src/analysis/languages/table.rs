//! The languages: how their files are recognised and what their comments and strings look like.

/// What has to be known of a language to count its lines.
#[derive(Debug)]
pub(in crate::analysis) struct Syntax {
    pub name: &'static str,
    pub extensions: &'static [&'static str],
    pub names: &'static [&'static str],
    /// Programs in `#!`, without versions.
    pub interpreters: &'static [&'static str],
    /// What begins a comment that ends with the line.
    pub lines: &'static [&'static str],
    /// What begins and ends other comments. With a line feed in front it counts only at the start of a line.
    pub blocks: &'static [(&'static str, &'static str)],
    /// Whether these comments may be in one another.
    pub nests: bool,
    /// The longest begin comes first.
    pub quotes: &'static [Quote],
    /// Code that looks like the begin of a string.
    pub skips: &'static [&'static str],
    /// Whether there are regular expressions between slashes.
    pub has_regexes: bool,
}

impl Syntax {
    pub(super) fn has_docs(&self) -> bool {
        self.quotes.iter().any(|quote| quote.is_doc)
    }
}

#[derive(Debug)]
pub(in crate::analysis) struct Quote {
    pub begin: &'static str,
    pub end: &'static str,
    /// Whether a backslash takes the meaning from what follows.
    pub escapes: bool,
    /// Whether it may go over several lines.
    pub is_long: bool,
    /// Whether it is a comment when it is a statement.
    pub is_doc: bool,
}

const fn quote(begin: &'static str, end: &'static str, escapes: bool, is_long: bool) -> Quote {
    Quote { begin, end, escapes, is_long, is_doc: false }
}

const fn doc(begin: &'static str, end: &'static str) -> Quote {
    Quote { begin, end, escapes: true, is_long: true, is_doc: true }
}

const DOUBLE: Quote = quote("\"", "\"", true, false);
const SINGLE: Quote = quote("'", "'", true, false);
const LONG_DOUBLE: Quote = quote("\"", "\"", true, true);
const LONG_SINGLE: Quote = quote("'", "'", true, true);
const BACKTICK: Quote = quote("`", "`", true, true);
const TRIPLE: Quote = quote("\"\"\"", "\"\"\"", true, true);
const C: &[Quote] = &[DOUBLE, SINGLE];
const WITH_TRIPLE: &[Quote] = &[TRIPLE, DOUBLE, SINGLE];
const JS: &[Quote] = &[DOUBLE, SINGLE, BACKTICK];
const LONG: &[Quote] = &[LONG_DOUBLE, LONG_SINGLE];

const SLASHES: &[&str] = &["//"];
const HASH: &[&str] = &["#"];
const C_BLOCK: &[(&str, &str)] = &[("/*", "*/")];
const XML_BLOCK: &[(&str, &str)] = &[("<!--", "-->")];

const NONE: Syntax = Syntax {
    name: "",
    extensions: &[],
    names: &[],
    interpreters: &[],
    lines: &[],
    blocks: &[],
    nests: false,
    quotes: &[],
    skips: &[],
    has_regexes: false,
};

/// Like C.
const fn c(name: &'static str, extensions: &'static [&'static str]) -> Syntax {
    Syntax { name, extensions, lines: SLASHES, blocks: C_BLOCK, quotes: C, ..NONE }
}

/// Like JavaScript.
const fn js(name: &'static str, extensions: &'static [&'static str]) -> Syntax {
    Syntax { quotes: JS, has_regexes: true, ..c(name, extensions) }
}

/// Comments begin with `#`.
const fn hash(name: &'static str, extensions: &'static [&'static str]) -> Syntax {
    Syntax { name, extensions, lines: HASH, ..NONE }
}

/// Like XML.
const fn xml(name: &'static str, extensions: &'static [&'static str]) -> Syntax {
    Syntax { name, extensions, blocks: XML_BLOCK, ..NONE }
}

/// Comments of one line only, or none.
const fn plain(
    name: &'static str,
    extensions: &'static [&'static str],
    lines: &'static [&'static str],
) -> Syntax {
    Syntax { name, extensions, lines, ..NONE }
}

pub(super) static LANGUAGES: &[Syntax] = &[
    c("C", &["c"]),
    c("C header", &["h"]),
    Syntax {
        quotes: &[quote("R\"(", ")\"", false, true), DOUBLE, SINGLE],
        ..c("C++", &["cc", "cpp", "cxx", "c++", "inl", "ipp", "tcc"])
    },
    c("C++ header", &["hh", "hpp", "hxx"]),
    c("Objective-C", &["m", "mm"]),
    Syntax {
        quotes: &[quote("@\"", "\"", false, true), TRIPLE, DOUBLE, SINGLE],
        interpreters: &["dotnet-script"],
        ..c("C#", &["cs", "csx"])
    },
    Syntax { quotes: WITH_TRIPLE, ..c("Java", &["java"]) },
    Syntax { quotes: WITH_TRIPLE, nests: true, ..c("Kotlin", &["kt", "kts"]) },
    Syntax {
        quotes: WITH_TRIPLE,
        nests: true,
        interpreters: &["scala"],
        ..c("Scala", &["scala", "sc", "sbt"])
    },
    Syntax {
        quotes: WITH_TRIPLE,
        interpreters: &["groovy"],
        names: &["Jenkinsfile"],
        ..c("Groovy", &["groovy", "gradle", "gvy"])
    },
    Syntax { quotes: &[TRIPLE, DOUBLE], nests: true, interpreters: &["swift"], ..c("Swift", &["swift"]) },
    Syntax {
        quotes: &[quote("'''", "'''", true, true), TRIPLE, DOUBLE, SINGLE],
        nests: true,
        ..c("Dart", &["dart"])
    },
    Syntax {
        quotes: &[
            quote("r##\"", "\"##", false, true),
            quote("r#\"", "\"#", false, true),
            quote("r\"", "\"", false, true),
            LONG_DOUBLE,
        ],
        skips: &["'\"'", "'\\\"'", "'\\''", "'\\\\'"],
        nests: true,
        ..c("Rust", &["rs"])
    },
    Syntax { quotes: &[DOUBLE, SINGLE, quote("`", "`", false, true)], ..c("Go", &["go"]) },
    c("Zig", &["zig"]),
    Syntax { nests: true, ..c("D", &["d", "di"]) },
    c("Protocol Buffers", &["proto"]),
    c("Thrift", &["thrift"]),
    c("Solidity", &["sol"]),
    c("GLSL", &["glsl", "vert", "frag", "comp"]),
    c("CUDA", &["cu", "cuh"]),
    Syntax { interpreters: &["node", "deno", "bun"], ..js("JavaScript", &["js", "mjs", "cjs"]) },
    js("JSX", &["jsx"]),
    Syntax { interpreters: &["ts-node", "tsx"], ..js("TypeScript", &["ts", "mts", "cts"]) },
    js("TSX", &["tsx"]),
    Syntax { blocks: &[("<!--", "-->"), ("/*", "*/")], ..xml("Vue", &["vue"]) },
    Syntax { blocks: &[("<!--", "-->"), ("/*", "*/")], ..xml("Svelte", &["svelte"]) },
    xml("Astro", &["astro"]),
    Syntax { blocks: C_BLOCK, quotes: C, ..plain("CSS", &["css"], &[]) },
    c("SCSS", &["scss"]),
    c("Less", &["less"]),
    c("Stylus", &["styl"]),
    xml("HTML", &["html", "htm", "xhtml"]),
    xml(
        "XML",
        &["xml", "xsd", "xsl", "xslt", "csproj", "fsproj", "vbproj", "props", "targets", "plist", "resx"],
    ),
    xml("SVG", &["svg"]),
    Syntax { lines: &["//", "#"], quotes: LONG, interpreters: &["php"], ..c("PHP", &["php", "phtml"]) },
    Syntax {
        quotes: &[
            doc("r\"\"\"", "\"\"\""),
            doc("r'''", "'''"),
            doc("\"\"\"", "\"\"\""),
            doc("'''", "'''"),
            DOUBLE,
            SINGLE,
        ],
        interpreters: &["python", "pypy"],
        names: &["SConstruct", "SConscript", "wscript"],
        ..hash("Python", &["py", "pyi", "pyw"])
    },
    Syntax { quotes: &[TRIPLE, DOUBLE, SINGLE], ..hash("Cython", &["pyx", "pxd", "pxi"]) },
    Syntax {
        quotes: &[TRIPLE, DOUBLE, SINGLE],
        names: &["BUILD", "WORKSPACE"],
        ..hash("Starlark", &["bzl", "bazel", "star"])
    },
    Syntax {
        blocks: &[("\n=begin", "\n=end")],
        quotes: C,
        interpreters: &["ruby"],
        names: &["Gemfile", "Rakefile", "Podfile", "Vagrantfile", "Guardfile", "Brewfile"],
        ..hash("Ruby", &["rb", "rake", "gemspec", "ru"])
    },
    Syntax {
        blocks: &[("\n=", "\n=cut")],
        quotes: C,
        interpreters: &["perl"],
        ..hash("Perl", &["pl", "pm", "t"])
    },
    Syntax { interpreters: &["Rscript"], quotes: C, ..hash("R", &["r"]) },
    Syntax {
        quotes: &[TRIPLE, DOUBLE],
        blocks: &[("#=", "=#")],
        nests: true,
        interpreters: &["julia"],
        ..hash("Julia", &["jl"])
    },
    Syntax { quotes: &[TRIPLE, DOUBLE], interpreters: &["elixir"], ..hash("Elixir", &["ex", "exs"]) },
    Syntax {
        quotes: &[TRIPLE, DOUBLE],
        blocks: &[("#[", "]#")],
        nests: true,
        ..hash("Nim", &["nim", "nims"])
    },
    hash("Crystal", &["cr"]),
    Syntax { blocks: &[("###", "###")], quotes: C, ..hash("CoffeeScript", &["coffee"]) },
    Syntax {
        interpreters: &["sh", "bash", "zsh", "ksh", "dash", "ash"],
        names: &[".bashrc", ".profile", ".zshrc"],
        ..hash("Shell", &["sh", "bash", "zsh", "ksh"])
    },
    Syntax { interpreters: &["fish"], ..hash("Fish", &["fish"]) },
    Syntax {
        blocks: &[("<#", "#>")],
        quotes: C,
        interpreters: &["pwsh"],
        ..hash("PowerShell", &["ps1", "psm1", "psd1"])
    },
    plain("Batch", &["bat", "cmd"], &["rem ", "REM ", "Rem ", "::"]),
    Syntax { interpreters: &["awk", "gawk"], ..hash("Awk", &["awk"]) },
    Syntax { interpreters: &["tclsh", "wish"], ..hash("Tcl", &["tcl"]) },
    Syntax {
        names: &["Makefile", "makefile", "GNUmakefile"],
        interpreters: &["make"],
        ..hash("Makefile", &["mk", "mak"])
    },
    Syntax { names: &["justfile", "Justfile"], ..hash("Just", &["just"]) },
    Syntax { names: &["CMakeLists.txt"], blocks: &[("#[[", "]]")], ..hash("CMake", &["cmake"]) },
    Syntax { names: &["meson.build", "meson_options.txt"], ..hash("Meson", &[]) },
    Syntax { names: &["Dockerfile", "Containerfile"], ..hash("Dockerfile", &["dockerfile"]) },
    Syntax {
        lines: &["#", "//"],
        blocks: C_BLOCK,
        quotes: &[DOUBLE],
        ..plain("Terraform", &["tf", "tfvars", "hcl"], &[])
    },
    Syntax { blocks: C_BLOCK, quotes: &[quote("''", "''", false, true), DOUBLE], ..hash("Nix", &["nix"]) },
    hash("GraphQL", &["graphql", "gql"]),
    hash("YAML", &["yaml", "yml"]),
    Syntax { names: &["Pipfile", "Cargo.lock", "poetry.lock", "uv.lock"], ..hash("TOML", &["toml"]) },
    plain("INI", &["ini", "cfg", "conf", "editorconfig"], &[";", "#"]),
    plain("Properties", &["properties"], &["#", "!"]),
    plain("JSON", &["json", "geojson", "webmanifest", "map", "ipynb"], &[]),
    c("JSON5", &["json5", "jsonc"]),
    Syntax {
        blocks: &[("{-", "-}")],
        nests: true,
        quotes: &[DOUBLE],
        interpreters: &["runhaskell"],
        ..plain("Haskell", &["hs"], &["--"])
    },
    Syntax {
        blocks: &[("{-", "-}")],
        nests: true,
        quotes: &[TRIPLE, DOUBLE],
        ..plain("Elm", &["elm"], &["--"])
    },
    Syntax {
        blocks: &[("(*", "*)")],
        nests: true,
        quotes: &[LONG_DOUBLE],
        ..plain("OCaml", &["ml", "mli"], &[])
    },
    Syntax {
        blocks: &[("(*", "*)")],
        quotes: &[TRIPLE, DOUBLE],
        ..plain("F#", &["fs", "fsi", "fsx"], &["//"])
    },
    Syntax { quotes: &[LONG_DOUBLE], interpreters: &["escript"], ..plain("Erlang", &["erl", "hrl"], &["%"]) },
    Syntax {
        quotes: &[LONG_DOUBLE],
        interpreters: &["bb"],
        ..plain("Clojure", &["clj", "cljs", "cljc", "edn"], &[";"])
    },
    Syntax {
        blocks: &[("#|", "|#")],
        nests: true,
        quotes: &[LONG_DOUBLE],
        ..plain("Lisp", &["lisp", "lsp", "el", "scm", "ss", "rkt"], &[";"])
    },
    Syntax {
        blocks: &[("--[[", "]]")],
        quotes: C,
        interpreters: &["lua", "luajit"],
        ..plain("Lua", &["lua"], &["--"])
    },
    Syntax { blocks: C_BLOCK, quotes: LONG, ..plain("SQL", &["sql", "ddl"], &["--"]) },
    Syntax { quotes: &[DOUBLE], ..plain("Ada", &["adb", "ads"], &["--"]) },
    Syntax { quotes: &[DOUBLE], ..plain("VHDL", &["vhd", "vhdl"], &["--"]) },
    c("Verilog", &["v", "sv", "svh"]),
    plain("Fortran", &["f90", "f95", "f03", "f08"], &["!"]),
    Syntax { blocks: &[("{", "}"), ("(*", "*)")], ..plain("Pascal", &["pas", "dpr"], &["//"]) },
    plain("Visual Basic", &["vb", "vbs", "bas"], &["'"]),
    plain("Assembly", &["asm", "s"], &[";", "#"]),
    plain("TeX", &["tex", "sty", "cls", "bib"], &["%"]),
    plain("Vim script", &["vim"], &["\""]),
    Syntax { blocks: &[("{#", "#}")], ..plain("Jinja", &["j2", "jinja", "jinja2"], &[]) },
    Syntax { blocks: &[("{{!", "}}")], ..plain("Handlebars", &["hbs", "handlebars", "mustache"], &[]) },
    xml("Markdown", &["md", "markdown", "mdx"]),
    plain("reStructuredText", &["rst"], &[]),
    plain("AsciiDoc", &["adoc", "asciidoc"], &[]),
    plain("Text", &["txt"], &[]),
    plain("CSV", &["csv", "tsv"], &[]),
    hash("Gettext", &["po", "pot"]),
];
