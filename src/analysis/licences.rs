//! Licences, by their texts and by what manifests call them.

use super::text;

/// As much of a text is looked at; the longest of these licences is shorter.
const TEXT_BYTES: usize = 64 << 10;

/// Identifiers and the phrases that only their texts have, without case and with single spaces. The first
/// that has all its phrases is it.
const TEXTS: &[(&str, &[&str])] = &[
    ("AGPL-3.0", &["gnu affero general public license version 3"]),
    ("LGPL-3.0", &["gnu lesser general public license version 3"]),
    ("LGPL-2.1", &["gnu lesser general public license version 2.1"]),
    ("GPL-3.0", &["gnu general public license version 3", "29 june 2007"]),
    ("GPL-2.0", &["gnu general public license version 2, june 1991"]),
    ("MPL-2.0", &["mozilla public license version 2.0"]),
    ("MPL-2.0", &["mozilla public license, v. 2.0"]),
    ("EPL-2.0", &["eclipse public license - v 2.0"]),
    ("Apache-2.0", &["apache license version 2.0, january 2004"]),
    ("Apache-2.0", &["licensed under the apache license, version 2.0"]),
    ("CC0-1.0", &["cc0 1.0 universal"]),
    ("Unlicense", &["this is free and unencumbered software released into the public domain"]),
    ("BSL-1.0", &["boost software license - version 1.0"]),
    ("PSF-2.0", &["python software foundation license version 2"]),
    (
        "Zlib",
        &[
            "the origin of this software must not be misrepresented",
            "altered source versions must be plainly marked",
        ],
    ),
    (
        "ISC",
        &[
            "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that",
        ],
    ),
    (
        "ISC",
        &[
            "permission to use, copy, modify, and distribute this software for any purpose with or without fee is hereby granted, provided that",
        ],
    ),
    (
        "0BSD",
        &[
            "permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted.",
        ],
    ),
    ("BSD-3-Clause", &["redistribution and use in source and binary forms", "endorse or promote products"]),
    ("BSD-2-Clause", &["redistribution and use in source and binary forms", "this list of conditions"]),
    (
        "MIT",
        &[
            "permission is hereby granted, free of charge, to any person obtaining a copy",
            "the above copyright notice and this permission notice",
        ],
    ),
    ("MIT-0", &["permission is hereby granted, free of charge, to any person obtaining a copy"]),
];

/// Whether a file's name is that of a licence.
pub(super) fn is_licence_file(path: &str) -> bool {
    let name = text::file_name(path).to_lowercase();
    let begins = ["license", "licence", "copying", "unlicense", "copyright"]
        .iter()
        .any(|begin| name.starts_with(begin));
    begins
        && matches!(
            text::extension(path).as_str(),
            "" | "md" | "txt" | "rst" | "mit" | "apache" | "html" | "bsd" | "0"
        )
}

/// The identifier of a licence by its text.
pub(super) fn of_text(content: &str) -> Option<&'static str> {
    let mut end = content.len().min(TEXT_BYTES);
    while !content.is_char_boundary(end) {
        end -= 1;
    }
    let plain = content[..end].to_lowercase().replace(['*', '#', '"', '=', '_'], " ");
    // A licence in comments has a mark at the begin of each line.
    let words: Vec<&str> = plain.split_whitespace().filter(|word| *word != "//").collect();
    let plain = words.join(" ");
    TEXTS.iter().find(|(_, phrases)| phrases.iter().all(|phrase| plain.contains(phrase))).map(|(id, _)| *id)
}

/// Identifiers that are understood, and other names for them in small letters.
const NAMES: &[(&str, &[&str])] = &[
    ("MIT", &["mit license", "the mit license", "mit licence", "expat"]),
    ("MIT-0", &[]),
    (
        "Apache-2.0",
        &[
            "apache 2.0",
            "apache 2",
            "apache license 2.0",
            "apache license, version 2.0",
            "apache software license",
            "apache software license 2.0",
            "the apache license, version 2.0",
            "apache-2",
        ],
    ),
    ("BSD-2-Clause", &["simplified bsd", "bsd 2-clause", "bsd-2"]),
    (
        "BSD-3-Clause",
        &["new bsd", "bsd 3-clause", "bsd-3", "modified bsd", "3-clause bsd license", "bsd 3-clause license"],
    ),
    ("ISC", &["isc license", "isc license (iscl)"]),
    ("0BSD", &[]),
    ("GPL-2.0", &["gplv2", "gpl-2.0-only", "gpl-2.0-or-later", "gnu general public license v2 (gplv2)"]),
    ("GPL-3.0", &["gplv3", "gpl-3.0-only", "gpl-3.0-or-later", "gnu general public license v3 (gplv3)"]),
    ("LGPL-2.1", &["lgplv2.1", "lgpl-2.1-only", "lgpl-2.1-or-later"]),
    ("LGPL-3.0", &["lgplv3", "lgpl-3.0-only", "lgpl-3.0-or-later"]),
    ("AGPL-3.0", &["agplv3", "agpl-3.0-only", "agpl-3.0-or-later"]),
    ("MPL-2.0", &["mozilla public license 2.0", "mozilla public license 2.0 (mpl 2.0)"]),
    ("EPL-2.0", &["eclipse public license 2.0"]),
    ("Unlicense", &["the unlicense", "the unlicense (unlicense)"]),
    ("CC0-1.0", &["cc0"]),
    ("BSL-1.0", &["boost software license 1.0"]),
    ("PSF-2.0", &["psf", "python software foundation license"]),
    ("Zlib", &[]),
];

/// The identifier, or the expression of identifiers, that a manifest's words stand for.
pub(super) fn of_name(declared: &str) -> Option<String> {
    let declared = declared.trim();
    if let Some(known) = known(declared) {
        return Some(known.to_owned());
    }
    let expression = declared.replace('/', " OR ");
    let mut words = Vec::new();
    for word in expression.split_whitespace() {
        let bare = word.trim_matches(['(', ')', '+']);
        let is_joint = matches!(word, "OR" | "AND" | "WITH" | "or" | "and");
        let is_exception = words.last() == Some(&"WITH");
        if !is_joint && !is_exception && known(bare).is_none() {
            return None;
        }
        words.push(word);
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn known(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    NAMES
        .iter()
        .find(|(id, names)| id.eq_ignore_ascii_case(name) || names.contains(&lower.as_str()))
        .map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_recognised_however_they_are_broken() {
        let mit = "MIT License\n\nPermission is hereby granted, free of charge, to any\nperson obtaining a copy of this\n\
                   software\n\nThe above copyright notice and this permission\n notice shall be included";
        assert_eq!(of_text(mit), Some("MIT"));
        assert_eq!(of_text("   Apache License\n     Version 2.0, January 2004"), Some("Apache-2.0"));
        let bsd = "Redistribution and use in source and binary forms are permitted; this list of conditions";
        assert_eq!(of_text(bsd), Some("BSD-2-Clause"));
        assert_eq!(of_text(&format!("{bsd} to endorse or promote products")), Some("BSD-3-Clause"));
        assert_eq!(of_text("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"), Some("GPL-3.0"));
        assert_eq!(of_text("All rights reserved"), None);
    }

    #[test]
    fn names_become_identifiers() {
        for (declared, spdx) in [
            ("MIT", Some("MIT")),
            ("mit", Some("MIT")),
            ("Apache License 2.0", Some("Apache-2.0")),
            ("MIT OR Apache-2.0", Some("MIT OR Apache-2.0")),
            ("MIT/Apache-2.0", Some("MIT OR Apache-2.0")),
            ("(MIT AND Zlib)", Some("(MIT AND Zlib)")),
            ("Apache-2.0 WITH LLVM-exception", Some("Apache-2.0 WITH LLVM-exception")),
            ("Proprietary", None),
            ("", None),
        ] {
            assert_eq!(of_name(declared).as_deref(), spdx, "{declared}");
        }
    }

    #[test]
    fn files_are_recognised_by_name() {
        for path in ["LICENSE", "a/LICENSE.txt", "COPYING", "LICENSE-MIT", "licenses/LICENCE.md"] {
            assert!(is_licence_file(path), "{path}");
        }
        assert!(!is_licence_file("license.rs"));
        assert!(!is_licence_file("src/licences/mod.rs"));
    }
}
