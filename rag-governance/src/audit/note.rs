//! Signed notes and checkpoints: what a log promises at a size, in the formats of c2sp.org/signed-note and
//! c2sp.org/tlog-checkpoint, so that tools of transparency logs read them.
//!
//! A note is a text that ends with a line feed, an empty line, and a line for each signature: `— NAME BASE64`, where the
//! bytes are the first four of a key's hash and an Ed25519 signature of the text. A verifier's key is written
//! `NAME+HASH+BASE64`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::merkle::Hash;

/// The byte that names Ed25519 in keys.
const ED25519: u8 = 1;
/// Most bytes of a note.
const MAX_NOTE: usize = 1 << 20;
/// Most signatures that are looked at.
const MAX_SIGNATURES: usize = 100;

/// What is wrong with a note, a checkpoint or a key.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is no note, no checkpoint or no key.
    #[error("{what} is malformed: {problem}")]
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Nobody whose key is known has signed.
    #[error("the note has no signature of {0}; it may be that of another log, or the key has changed")]
    Unsigned(String),
    /// A signature of a known key that does not hold.
    #[error("the signature of {0} does not hold: the note was changed")]
    Forged(String),
    /// The checkpoint of another log.
    #[error("the checkpoint is that of {found:?}, not of {expected:?}")]
    Origin {
        /// The origin there.
        found: String,
        /// The origin that was expected.
        expected: String,
    },
}

fn malformed<T>(what: &'static str, problem: &'static str) -> Result<T, NoteError> {
    Err(NoteError::Malformed { what, problem })
}

/// Who signs: a name and a private key, which is wiped from memory when it goes and is in no `Debug`.
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier())
    }
}

impl NoteSigner {
    /// From a name without white space and `+`, such as `example.org/rag`, and 32 random bytes.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] for another name.
    pub fn new(name: impl Into<String>, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let name = name.into();
        check_name(&name)?;
        Ok(NoteSigner { name, key: SigningKey::from_bytes(seed) })
    }

    /// The 32 bytes that it was made of, to be kept where nobody else reads.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who checks its signatures.
    pub fn verifier(&self) -> NoteVerifier {
        NoteVerifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The text with its signature. The text ends with a line feed and has no other control characters.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let mut signed = self.verifier().hash().to_vec();
        signed.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n— {} {}\n", self.name, STANDARD.encode(signed)))
    }
}

/// Who checks signatures: a name and a public key, written `NAME+HASH+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the key's hash, which stand with each signature.
    fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, self.key.as_bytes())
    }

    /// The text of a note that it has signed.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::Forged`], [`NoteError::Malformed`].
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        if note.len() > MAX_NOTE {
            return malformed("the note", "it is longer than a MiB");
        }
        let Some(split) = note.rfind("\n\n") else { return malformed("the note", "it has no empty line") };
        let (text, signatures) = (&note[..=split], &note[split + 2..]);
        check_text(text)?;
        if !signatures.ends_with('\n') {
            return malformed("the note", "it does not end with a line feed");
        }
        for line in signatures.lines().take(MAX_SIGNATURES) {
            let parts = line.strip_prefix("— ").and_then(|line| line.split_once(' '));
            let Some((name, signature)) = parts else { return malformed("the note", "a line is no signature") };
            let Ok(bytes) = STANDARD.decode(signature) else {
                return malformed("the note", "a signature is no Base64");
            };
            let Some((hash, signature)) = bytes.split_first_chunk::<4>() else {
                return malformed("the note", "a signature is too short");
            };
            if name != self.name || *hash != self.hash() {
                continue; // of somebody else
            }
            let forged = || NoteError::Forged(self.name.clone());
            let signature = Signature::from_slice(signature).map_err(|_| forged())?;
            return self.key.verify_strict(text.as_bytes(), &signature).map(|()| text).map_err(|_| forged());
        }
        Err(NoteError::Unsigned(self.name.clone()))
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], &self.key.as_bytes()[..]].concat();
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.hash()), STANDARD.encode(key))
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        const KEY: &str = "the verifier's key";
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return malformed(KEY, "it is not NAME+HASH+BASE64");
        };
        check_name(name)?;
        let Ok(bytes) = STANDARD.decode(key) else { return malformed(KEY, "its end is no Base64") };
        let Some((&ED25519, bytes)) = bytes.split_first() else { return malformed(KEY, "it is no Ed25519 key") };
        let Ok(bytes) = <[u8; 32]>::try_from(bytes) else { return malformed(KEY, "it has not 32 bytes") };
        let Ok(key) = VerifyingKey::from_bytes(&bytes) else { return malformed(KEY, "it is no point of the curve") };
        let verifier = NoteVerifier { name: name.to_owned(), key };
        if hash.len() != 8 || u32::from_str_radix(hash, 16) != Ok(u32::from_be_bytes(verifier.hash())) {
            return malformed(KEY, "its hash is that of another key");
        }
        Ok(verifier)
    }
}

/// What a log promises: its first `size` entries have this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint with a signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] for an origin that is empty or has control characters.
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        if self.origin.is_empty() || self.origin.chars().any(char::is_control) {
            return malformed("the checkpoint", "its origin is empty or has control characters");
        }
        signer.sign(&self.to_string())
    }

    /// Reads the checkpoint of a log whose origin is the name of the verifier.
    ///
    /// # Errors
    /// As [`NoteVerifier::open`]; [`NoteError::Origin`], [`NoteError::Malformed`].
    pub fn open(note: &str, verifier: &NoteVerifier) -> Result<Self, NoteError> {
        const WHAT: &str = "the checkpoint";
        let mut lines = verifier.open(note)?.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return malformed(WHAT, "it has less than three lines");
        };
        if origin != verifier.name() {
            return Err(NoteError::Origin { found: origin.to_owned(), expected: verifier.name().to_owned() });
        }
        let is_number = size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(size) = size.parse().ok().filter(|_| is_number) else {
            return malformed(WHAT, "its size is no number");
        };
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let Some(root) = root else { return malformed(WHAT, "its root is no hash") };
        Ok(Checkpoint { origin: origin.to_owned(), size, root })
    }
}

impl fmt::Display for Checkpoint {
    /// The text that is signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))
    }
}

fn key_hash(name: &str, key: &[u8]) -> [u8; 4] {
    let hash =
        Sha256::new().chain_update(name).chain_update(b"\n").chain_update([ED25519]).chain_update(key).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

fn check_name(name: &str) -> Result<(), NoteError> {
    if name.is_empty() || name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '+') {
        return malformed(
            "the name of the key",
            "it is empty or has white space or a plus; give one such as example.org/rag",
        );
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') || text.len() > MAX_NOTE {
        return malformed("the text of the note", "it does not end with a line feed, or is longer than a MiB");
    }
    if text.chars().any(|letter| letter.is_control() && letter != '\n') {
        return malformed("the text of the note", "it has control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn signer() -> NoteSigner {
        NoteSigner::new("example.org/rag", &[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.org/rag".into(), size: 12, root: [9; 32] }
    }

    /// The example of the documentation of Go's golang.org/x/mod/sumdb/note, whose private key is public.
    #[test]
    fn a_note_that_others_have_signed_opens() {
        let verifier: NoteVerifier =
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = format!(
            "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(verifier.open(&note), Ok(text));
        assert_eq!(verifier.to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        assert_eq!(
            verifier.open(&note.replace("cryptography", "Cryptography")),
            Err(NoteError::Forged("PeterNeumann".into()))
        );
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let (signer, checkpoint) = (signer(), checkpoint());
        let note = checkpoint.sign(&signer).unwrap();
        assert!(note.starts_with("example.org/rag\n12\n"));
        let verifier: NoteVerifier = signer.verifier().to_string().parse().unwrap();
        assert_eq!(Checkpoint::open(&note, &verifier), Ok(checkpoint.clone()));
        let other = NoteSigner::new("example.org/rag", &[8; 32]).unwrap().verifier();
        assert_eq!(Checkpoint::open(&note, &other), Err(NoteError::Unsigned("example.org/rag".into())));
        // A witness may sign too.
        let with_witness = format!("{note}— witness.example AAAAAAAA\n");
        assert_eq!(Checkpoint::open(&with_witness, &verifier), Ok(checkpoint));
        assert!(!format!("{signer:?}").contains("7, 7"));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let note = checkpoint().sign(&signer()).unwrap();
        let verifier = signer().verifier();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(Checkpoint::open(&changed, &verifier).is_err(), "byte {at}, bit {bit}: {changed}");
            }
        }
        for length in 0..note.len() {
            assert!(note.get(..length).is_none_or(|cut| Checkpoint::open(cut, &verifier).is_err()));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,300}", lines in prop::collection::vec("[ -~]{0,40}", 0..8)) {
            let verifier = signer().verifier();
            let _ = (Checkpoint::open(&text, &verifier), text.parse::<NoteVerifier>());
            let _ = Checkpoint::open(&(lines.join("\n") + "\n"), &verifier);
            let _ = Checkpoint::open(&format!("{}\n\n— example.org/rag {}\n", lines.join("\n"), text), &verifier);
        }
    }
}
