//! Server-sent events, taken apart by bytes: pieces may end anywhere, also inside a character.

/// Reads the `data` of events out of a stream of bytes.
#[derive(Debug, Default)]
pub(in crate::llm::openai) struct Events {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The data lines of the event that is not complete yet.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    begun: bool,
}

impl Events {
    /// The data of the events that are complete with this piece.
    pub fn push(&mut self, piece: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for byte in piece {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    self.end_line(&mut found);
                }
                byte => {
                    self.after_return = false;
                    self.line.push(*byte);
                }
            }
        }
        found
    }

    /// The data of an event that was not closed by an empty line: some servers leave the last one so.
    pub fn finish(mut self) -> Option<String> {
        let mut found = Vec::new();
        self.end_line(&mut found);
        self.end_event(&mut found);
        found.pop()
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.line.len() + self.data.len()
    }

    fn end_line(&mut self, found: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        let line = match self.begun {
            true => line.as_slice(),
            false => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line),
        };
        self.begun = true;
        if line.is_empty() {
            return self.end_event(found);
        }
        // Comments begin with a colon; other fields do not matter here.
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        } else if line.starts_with(b"{") {
            // Plain JSON lines, as some gateways pass their errors through.
            self.has_data = true;
            self.data.extend_from_slice(line);
        }
    }

    fn end_event(&mut self, found: &mut Vec<String>) {
        if std::mem::take(&mut self.has_data) {
            found.push(String::from_utf8_lossy(&std::mem::take(&mut self.data)).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut found: Vec<String> = pieces.iter().flat_map(|piece| events.push(piece)).collect();
        found.extend(events.finish());
        found
    }

    #[test]
    fn every_spelling_of_a_stream_is_read() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", &["a", "b"][..]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data:a\n\n", &["a"]),
            ("\u{feff}data: a\n\n", &["a"]),
            (": OPENROUTER PROCESSING\n\ndata: a\n\n: keep-alive\n\n", &["a"]),
            ("event: x\nid: 7\ndata: a\nretry: 5\n\n", &["a"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("data: a", &["a"]),
            ("data:  two blanks\n\n", &[" two blanks"]),
            ("{\"error\":1}\n\n", &["{\"error\":1}"]),
            ("\n\n\n", &[]),
        ] {
            assert_eq!(all(&[text.as_bytes()]), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_pieces_end(cuts in proptest::collection::vec(0usize..60, 0..12)) {
            let text = "data: {\"t\":\"äöü\"}\r\n\r\n: x\r\ndata: zwei\r\ndata: drei\r\n\r\ndata: [DONE]\r\n\r\n";
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(all(&pieces), ["{\"t\":\"äöü\"}", "zwei\ndrei", "[DONE]"]);
        }
    }
}
