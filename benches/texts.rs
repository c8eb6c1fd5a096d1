//! Invented comments for the load: varied, harmless, about 300 bytes, the same in every run.

const WORDS: [&str; 48] = [
    "harbour",
    "lantern",
    "gravel",
    "thank",
    "you",
    "for",
    "this",
    "walk",
    "through",
    "the",
    "old",
    "mill",
    "where",
    "my",
    "aunt",
    "kept",
    "bees",
    "and",
    "we",
    "counted",
    "boats",
    "after",
    "rain",
    "quite",
    "a",
    "different",
    "light",
    "than",
    "in",
    "your",
    "photograph",
    "bread",
    "smelled",
    "of",
    "smoke",
    "I",
    "had",
    "forgotten",
    "how",
    "steep",
    "those",
    "stairs",
    "were",
    "until",
    "today",
    "again",
    "with",
    "friends",
];

/// Appends the text with this number.
pub(crate) fn append(number: usize, out: &mut Vec<u8>) {
    let mut state = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let start = out.len();
    while out.len() - start < 290 {
        // xorshift64, from Marsaglia's paper of 2003: enough to vary words
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = WORDS[usize::try_from(state >> 33).unwrap_or_default() % WORDS.len()];
        out.extend_from_slice(word.as_bytes());
        out.push(b' ');
    }
    out.pop();
    out.push(b'.');
}

/// Appends a whole request that submits the comment with this number to the site `bench`, from an
/// author of its own.
pub(crate) fn append_submission(thread: &str, number: usize, out: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(512);
    body.extend_from_slice(
        format!(
            r#"{{"thread":{{"key":"{thread}"}},"author":{{"name":"Reader {number}","email":"reader-{number}@post.example.org"}},"body":""#
        )
        .as_bytes(),
    );
    append(number, &mut body);
    body.extend_from_slice(br#""}"#);
    out.extend_from_slice(
        format!(
            "POST /api/v1/sites/bench/comments HTTP/1.1\r\nhost: bench\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    out.extend_from_slice(&body);
}
