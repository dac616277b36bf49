//! Changes to inputs, the same in every run.

/// What bounds are made of.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e999",
    b"2147483648",
    b"18446744073709551615",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f",
    b"\xc3\xa4",
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n\n",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"\"",
    b"'",
    b"%00",
];

/// An endless row of changed inputs.
pub struct Changes<'a> {
    seeds: Vec<&'a [u8]>,
    words: &'a [&'static str],
    state: u64,
}

impl<'a> Changes<'a> {
    pub fn new(seeds: &'a [(String, Vec<u8>)], words: &'a [&'static str]) -> Self {
        Self { seeds: seeds.iter().map(|(_, bytes)| bytes.as_slice()).collect(), words, state: 7 }
    }

    /// A number below this one (SplitMix64).
    fn below(&mut self, end: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    fn seed(&mut self) -> &'a [u8] {
        let at = self.below(self.seeds.len());
        self.seeds[at]
    }

    /// One of the seeds with a few changes, cut to this length.
    pub fn next(&mut self, max: usize) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.below(5) {
            self.change(&mut input);
        }
        input.truncate(max);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(16)).min(input.len());
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.below(256) as u8,
            2 => drop(input.drain(at..end)),
            3 => {
                let piece = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            4 => {
                let word = self.words[self.below(self.words.len())].as_bytes();
                input.splice(at..at, word.iter().copied());
            }
            5 => {
                let word = NUMBERS[self.below(NUMBERS.len())];
                input.splice(at..end, word.iter().copied());
            }
            6 => input.truncate(at),
            7 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let byte = self.below(256) as u8;
                let times = 1 + self.below(40);
                input.splice(at..at, std::iter::repeat_n(byte, times));
            }
        }
    }
}
