//! A data key, and what is sealed with it: AES-GCM as `nonce 12 | ciphertext | tag 16`, and AES-SIV (RFC 5297) as
//! `SIV 16 | ciphertext` over one empty component. Nothing beside the text is authenticated: the format has it so.
//!
//! AES and CMAC are OpenSSL's. Its own AES-SIV refuses a text of no bytes, and before 3.0.10 leaves out an empty
//! component (CVE-2023-2975): so the few lines of RFC 5297 §2.4 that stand between CMAC and CTR are here.

use std::fmt;

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use openssl::symm;
use zeroize::Zeroizing;

use crate::open::framed::Bytes;
use crate::open::gcm::{IV_BYTES, TAG_BYTES, decrypt, encrypt};
use crate::record::DataKeyAlgorithm;

/// A key that encrypts values; overwritten when the last copy goes.
pub struct DataKey {
    algorithm: DataKeyAlgorithm,
    bytes: Zeroizing<Vec<u8>>,
    siv: Option<Siv>,
}

/// Why bytes are no data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDataKey {
    #[error("what was unwrapped is no key in Tink's form")]
    Form,
    #[error("what was unwrapped is a key of {got} bytes; {algorithm} has {expected}", algorithm = .algorithm.name(), expected = .algorithm.key_bytes())]
    Length { got: usize, algorithm: DataKeyAlgorithm },
    #[error("OpenSSL cannot use it")]
    OpenSsl,
}

/// What was sealed cannot be opened with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherFault {
    /// Too short for any.
    Short,
    Tag,
}

/// The half of a SIV key that authenticates.
struct Siv {
    mac: PKey<Private>,
    /// What all texts of the key begin with: of the empty component.
    start: Block,
}

const BLOCK_BYTES: usize = 16;
type Block = [u8; BLOCK_BYTES];

impl DataKey {
    /// The key in `proto`: Tink's `AesGcmKey { version = 1, key_value = 3 }` or `AesSivKey { version = 1, key_value = 2 }`.
    ///
    /// # Errors
    /// If it is none of this algorithm.
    pub fn of_tink(algorithm: DataKeyAlgorithm, proto: &[u8]) -> Result<Self, BadDataKey> {
        let value = if algorithm == DataKeyAlgorithm::Aes256Siv { 2 } else { 3 };
        let mut bytes = Bytes::new(proto, 0..proto.len());
        let mut key = None;
        while bytes.left() > 0 {
            match bytes.varint() {
                // The version, of which there is one.
                Ok(8) if bytes.varint() == Ok(0) => {}
                Ok(tag) if tag == value << 3 | 2 && key.is_none() => {
                    let length = bytes.varint().map_err(|_| BadDataKey::Form)?;
                    key = Some(bytes.sized(length).map_err(|_| BadDataKey::Form)?);
                }
                _ => return Err(BadDataKey::Form),
            }
        }
        Self::new(algorithm, key.ok_or(BadDataKey::Form)?)
    }

    /// # Errors
    /// If it is no key of this algorithm.
    pub fn new(algorithm: DataKeyAlgorithm, key: &[u8]) -> Result<Self, BadDataKey> {
        if key.len() != algorithm.key_bytes() {
            return Err(BadDataKey::Length { got: key.len(), algorithm });
        }
        let siv = (algorithm == DataKeyAlgorithm::Aes256Siv).then(|| Siv::new(&key[..32]));
        let siv = siv.transpose().map_err(|_| BadDataKey::OpenSsl)?;
        Ok(Self { algorithm, bytes: Zeroizing::new(key.to_vec()), siv })
    }

    pub fn algorithm(&self) -> DataKeyAlgorithm {
        self.algorithm
    }

    /// Opens `sealed` where it lies, and gives the part of it that then is the text. After a fault `sealed` holds what is
    /// for nobody.
    ///
    /// # Errors
    /// If it was not sealed with this key.
    pub fn open<'s>(&self, sealed: &'s mut [u8]) -> Result<&'s mut [u8], CipherFault> {
        if sealed.len() < self.overhead() {
            return Err(CipherFault::Short);
        }
        if let Some(siv) = &self.siv {
            let (tag, text) = sealed.split_at_mut(BLOCK_BYTES);
            let tag: Block = (&*tag).try_into().expect("it was split there");
            counter(&self.bytes[32..], tag, text).map_err(|_| CipherFault::Tag)?;
            let own = siv.tag(text).map_err(|_| CipherFault::Tag)?;
            return if openssl::memcmp::eq(&own, &tag) { Ok(text) } else { Err(CipherFault::Tag) };
        }
        let (iv, rest) = sealed.split_at_mut(IV_BYTES);
        let (text, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
        decrypt(&self.bytes, iv, &[], text, tag).map_err(|_| CipherFault::Tag)?;
        Ok(text)
    }

    /// Appends `text` to `out`, sealed: with GCM under a nonce that nothing else has. `scratch` is overwritten.
    ///
    /// # Errors
    /// If OpenSSL cannot: it has no random numbers.
    pub fn seal(
        &self,
        text: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorStack> {
        if let Some(siv) = &self.siv {
            let tag = siv.tag(text)?;
            out.extend_from_slice(&tag);
            let start = out.len();
            out.extend_from_slice(text);
            return counter(&self.bytes[32..], tag, &mut out[start..]);
        }
        let mut iv = [0; IV_BYTES];
        openssl::rand::rand_bytes(&mut iv)?;
        let tag = encrypt(&self.bytes, &iv, &[], text, scratch)?;
        [&iv[..], scratch, &tag].into_iter().for_each(|part| out.extend_from_slice(part));
        Ok(())
    }

    /// Bytes that a sealed text is longer by.
    pub fn overhead(&self) -> usize {
        if self.siv.is_some() { BLOCK_BYTES } else { IV_BYTES + TAG_BYTES }
    }
}

impl Siv {
    fn new(key: &[u8]) -> Result<Self, ErrorStack> {
        let mac = PKey::cmac(&symm::Cipher::aes_256_cbc(), key)?;
        let mut siv = Self { mac, start: [0; BLOCK_BYTES] };
        let zero = siv.mac(&[&[0; BLOCK_BYTES]])?;
        siv.start = xor(doubled(zero), &siv.mac(&[])?);
        Ok(siv)
    }

    fn mac(&self, parts: &[&[u8]]) -> Result<Block, ErrorStack> {
        let mut signer = Signer::new_without_digest(&self.mac)?;
        parts.iter().try_for_each(|part| signer.update(part))?;
        let mut tag = [0; BLOCK_BYTES];
        signer.sign(&mut tag)?;
        Ok(tag)
    }

    /// S2V, RFC 5297 §2.4, of an empty component and `text`.
    fn tag(&self, text: &[u8]) -> Result<Block, ErrorStack> {
        match text.len().checked_sub(BLOCK_BYTES) {
            Some(before) => {
                let (ahead, last) = text.split_at(before);
                self.mac(&[ahead, &xor(self.start, last)])
            }
            None => {
                let mut padded = [0; BLOCK_BYTES];
                padded[..text.len()].copy_from_slice(text);
                padded[text.len()] = 0x80;
                self.mac(&[&xor(doubled(self.start), &padded)])
            }
        }
    }
}

/// AES-256-CTR over `text`, counting from `tag` without two of its bits (RFC 5297 §2.6).
fn counter(key: &[u8], mut tag: Block, text: &mut [u8]) -> Result<(), ErrorStack> {
    tag[8] &= 0x7f;
    tag[12] &= 0x7f;
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(Cipher::aes_256_ctr()), Some(key), Some(&tag))?;
    if !text.is_empty() {
        context.cipher_update_inplace(text, text.len())?;
    }
    Ok(())
}

fn xor(mut block: Block, with: &[u8]) -> Block {
    block.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
    block
}

/// Twice `block` in the field of 2¹²⁸ elements.
fn doubled(block: Block) -> Block {
    let number = u128::from_be_bytes(block);
    (number << 1 ^ if number >> 127 == 1 { 0x87 } else { 0 }).to_be_bytes()
}

/// Without the key.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a data key ({})", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let pair = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    }

    #[test]
    fn siv_seals_texts_of_all_lengths_as_tink_does() {
        // Tink 1.16.1 (Python), AES-SIV with the key 0, 1, …, 63 over the bytes 0, 1, … and an empty component.
        let bytes: Vec<u8> = (0..64).collect();
        let siv = DataKey::new(DataKeyAlgorithm::Aes256Siv, &bytes).unwrap();
        for (length, expected) in [
            (0, "6ff5b8ef53fc365606cd3ea047374885"),
            (1, "bbcda500ab22fb1ab45fe96068870dfe1e"),
            (15, "0de333fe4d5bad07944c5c56dec45671a322c688be60c6c70e79fc8304c241"),
            (16, "9ecf98ce2cb3f71206a949776d15f9be5a82761b5c0496412e99c0fe98667c0e"),
            (17, "49f74bb21732c89f5157cb7eb8af6e28b9ee83720da541e33752bd67796ba35815"),
            (
                31,
                "2e194a38dbe5a0c54e8caa821511059d1cbc10c0caac279c59961e5642e7f1776d1f9b582fc8c1b5fb157f1276816b",
            ),
            (
                32,
                "63bfa4a6e4faf322411d0d4e29ca546a304cc7c76e679bcd8744c659ea028d9e255dd44737c823c9b4be28de3268827c",
            ),
            (
                40,
                "e676446fc2133272ea3bc20a9fa699a6d17d4720f05de1c18f32a2d198b28fe22d8fd7775d2825ad77bed5add49db01249985b7e664b102c",
            ),
        ] {
            let mut sealed = vec![];
            siv.seal(&bytes[..length], &mut vec![], &mut sealed).unwrap();
            assert_eq!(sealed, unhex(expected), "{length} bytes");
            assert_eq!(siv.open(&mut sealed).unwrap(), &bytes[..length], "{length} bytes");
            let mut other = unhex(expected);
            other[length % 16] ^= 1;
            assert_eq!(siv.open(&mut other), Err(CipherFault::Tag), "{length} bytes");
        }
    }

    #[test]
    fn a_key_in_another_form_is_none() {
        let gcm = |proto: &[u8]| DataKey::of_tink(DataKeyAlgorithm::Aes256Gcm, proto).map(|_| ());
        let whole = [&[0x1a, 0x20][..], &[7; 32]].concat();
        assert_eq!(gcm(&whole), Ok(()));
        assert_eq!(gcm(&[&[8, 0][..], &whole].concat()), Ok(()));
        assert_eq!(gcm(&[&[8, 1][..], &whole].concat()), Err(BadDataKey::Form));
        assert_eq!(gcm(&[&whole[..], &whole].concat()), Err(BadDataKey::Form));
        assert_eq!(gcm(&whole[..20]), Err(BadDataKey::Form));
        assert_eq!(gcm(&[]), Err(BadDataKey::Form));
        let short = BadDataKey::Length { got: 16, algorithm: DataKeyAlgorithm::Aes256Gcm };
        assert_eq!(gcm(&[&[0x1a, 0x10][..], &[7; 16]].concat()), Err(short));
    }
}
