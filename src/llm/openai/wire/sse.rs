//! Server-sent events, cut out of bytes as they come: whatever the chunks are and however lines end.

/// A longer event is none. The last one of the responses interface holds the whole answer again.
const MAX_FRAME: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its name, mostly none.
    pub event: String,
    /// Its `data` lines, joined by line breaks.
    pub data: Vec<u8>,
}

/// An event was longer than any can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Gets bytes, gives events.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: String,
    data: Option<Vec<u8>>,
    /// Whether a line feed that comes now belongs to the line break before it.
    after_return: bool,
    /// Whether the first line is over.
    begun: bool,
}

impl Parser {
    /// Reads more bytes and adds the events that end in them.
    pub(crate) fn push(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), TooLong> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n'));
            self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > MAX_FRAME {
                return Err(TooLong);
            }
            let Some(end) = end else { break };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(frames);
        }
        Ok(())
    }

    /// The event that the last bytes left unfinished: some servers forget the empty line at the end.
    pub(crate) fn finish(&mut self) -> Option<Frame> {
        let mut frames = Vec::new();
        self.end_line(&mut frames);
        self.end_event(&mut frames);
        frames.pop()
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) {
        let line = std::mem::take(&mut self.line);
        let mark: &[u8] = if std::mem::replace(&mut self.begun, true) { b"" } else { b"\xef\xbb\xbf" };
        let line = line.strip_prefix(mark).unwrap_or(&line);
        if line.is_empty() {
            return self.end_event(frames);
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            // A comment has no name; ids and the time to reconnect are of no use here.
            _ => {}
        }
    }

    fn end_event(&mut self, frames: &mut Vec<Frame>) {
        let event = std::mem::take(&mut self.event);
        if let Some(data) = self.data.take() {
            frames.push(Frame { event, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let (mut parser, mut frames) = (Parser::default(), Vec::new());
        chunks.iter().for_each(|chunk| parser.push(chunk, &mut frames).unwrap());
        frames.extend(parser.finish());
        frames.into_iter().map(|f| (f.event, String::from_utf8(f.data).unwrap())).collect()
    }

    fn data(text: &str) -> Vec<String> {
        parse(&[text.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn events_are_cut_out_of_every_kind_of_lines() {
        for (text, events) in [
            ("data: a\n\ndata: b\n\n", &["a", "b"][..]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("\u{feff}data: a\n\n", &["a"]),
            ("data:a\n\n", &["a"]),
            ("data:  a \n\n", &[" a "]),
            ("data: {\ndata: }\n\n", &["{\n}"]),
            (": comment\n\n: another\ndata: a\n\n", &["a"]),
            ("id: 7\nretry: 3\ndata: a\nfoo: bar\nbaz\n\n", &["a"]),
            ("data: a", &["a"]),
            ("data: a\n", &["a"]),
            ("data: [DONE]", &["[DONE]"]),
            ("data\n\n", &[""]),
            ("event: x\n\ndata: a\n\n", &["a"]),
            ("\n\n\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(data(text), events, "{text:?}");
        }
        assert_eq!(
            parse(&[b"event: error\ndata: x\n\ndata: y\n\n"])[0],
            ("error".to_owned(), "x".to_owned())
        );
        assert_eq!(parse(&[b"event: error\ndata: x\n\ndata: y\n\n"])[1].0, "");
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let mut frames = Vec::new();
        let chunk = vec![b'x'; 1 << 20];
        parser.push(b"data: ", &mut frames).unwrap();
        let fits = (0..20).take_while(|_| parser.push(&chunk, &mut frames).is_ok()).count();
        assert!((14..=16).contains(&fits), "{fits}");
        let mut lines = Parser::default();
        let line = [b"data: ", &chunk[..], b"\n"].concat();
        assert!((0..20).any(|_| lines.push(&line, &mut frames) == Err(TooLong)));
    }

    proptest::proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in "(data: ?|event: |: |\r\n|\n|\r|ä|€|x|\\{\"a\":1\\}|\u{feff}){0,40}",
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            proptest::prop_assert_eq!(parse(&chunks), parse(&[bytes]));
        }
    }
}
