#!/usr/bin/env python3
"""Counts lines of the real archives with other counters, for tests/it/analysis/line_counts.tsv.

Needs cloc 1.96 and Pygments. Usage: line-counts.py FOLDER_OF_ARCHIVES LIST_OF_ARCHIVES > line_counts.tsv

- Python: the tokenizer of CPython. A line of comment has nothing but comments and triple-quoted strings at the
  begin of a statement. cloc takes every triple-quoted string for a comment, also one that is an argument, and none
  with a prefix r, so that its sums differ.
- JavaScript: the tokens of Pygments. cloc does not know regular expressions and template strings, and takes what
  looks like a comment in them for one.
- Others: cloc, where it has the same idea of a comment. It has not for gettext (it takes "#," and the like for
  code) and for reStructuredText (this project has no comments there).
"""

import collections, csv, io, os, subprocess, sys, tempfile, tokenize, zipfile

from pygments.lexers import JavascriptLexer
from pygments.token import Comment

CLOC = {"ts", "css", "scss", "html", "json", "svg", "md", "txt", "csv", "c", "ps1", "sh", "fish", "bat"}
SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def summed(text, kinds):
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    blanks = comments = 0
    for number, line in enumerate(lines):
        if not line.strip(" \t\n\r\f\v"):
            blanks += 1
        elif kinds.get(number) == "comment":
            comments += 1
    return blanks, comments, len(lines) - blanks - comments


def python(data):
    text = data.decode("utf-8-sig")
    kinds, begins = {}, True
    for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
        if token.type in SKIPPED:
            begins = begins or token.type == tokenize.NEWLINE
            continue
        quotes = token.string.lstrip("rRuU")[:3]
        is_comment = token.type == tokenize.COMMENT
        is_doc = begins and token.type == tokenize.STRING and quotes in ('"""', "'''")
        for line in range(token.start[0] - 1, token.end[0]):
            if is_comment or is_doc:
                kinds.setdefault(line, "comment")
            else:
                kinds[line] = "code"
        begins = begins and is_comment
    return summed(text, kinds)


def javascript(data):
    text = data.decode("utf-8")
    kinds, line = {}, 0
    for kind, value in JavascriptLexer(stripnl=False, ensurenl=False).get_tokens(text):
        for number, part in enumerate(value.split("\n")):
            line += number > 0
            if part.strip():
                if kind in Comment:
                    kinds.setdefault(line, "comment")
                else:
                    kinds[line] = "code"
    return summed(text, kinds)


def cloc(folder):
    arguments = ["cloc", "--by-file", "--csv", "--quiet", "--skip-uniqueness", "--timeout", "0", folder]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    for row in csv.reader(io.StringIO(output)):
        if len(row) >= 5 and row[0] not in ("language", "SUM"):
            yield row[1], tuple(map(int, row[2:5]))


def main(folder, listed):
    print("# archive, ending, counter; files that are not empty, blanks, comments, code. By tests/support/line-counts.py.")
    names = [line.split()[2] for line in open(listed) if line.strip() and not line.startswith("#")]
    for name in sorted(names):
        sums = collections.defaultdict(lambda: [0, 0, 0, 0])

        def add(ending, counter, counts):
            if sum(counts):
                row = sums[ending, counter]
                row[:] = [row[0] + 1] + [old + new for old, new in zip(row[1:], counts)]

        archive = zipfile.ZipFile(os.path.join(folder, name))
        for member in archive.namelist():
            ending = os.path.basename(member).rpartition(".")[2].lower()
            if ending in ("py", "pyi"):
                add(ending, "cpython", python(archive.read(member)))
            elif ending == "js":
                add(ending, "pygments", javascript(archive.read(member)))
        with tempfile.TemporaryDirectory() as unpacked:
            archive.extractall(unpacked)
            for path, counts in cloc(unpacked):
                ending = os.path.basename(path).rpartition(".")[2].lower()
                if ending in CLOC:
                    add(ending, "cloc", counts)
        for (ending, counter), row in sorted(sums.items()):
            print(name, ending, counter, *row, sep="\t")


main(*sys.argv[1:3])
