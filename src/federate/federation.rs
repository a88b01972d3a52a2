//! Who takes part, and what the numbers mean: one file that all parties have, with nothing secret in it.

use std::collections::BTreeSet;
use std::fmt;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::traits::IsIdentity;
use openssl::pkey::{Id, PKey, Public};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Rejection;
use super::cipher::JointKey;
use super::group::{self, DIGEST, DOMAIN, POINT};
use super::keys::{self, ED25519, KEY_PURPOSE};
use super::proof::{PROOF, Proof};
use super::window::{COUNTERS_MAX, COUNTS};
use crate::record::Timestamp;
use crate::watch::WindowStart;

/// Sites of a federation.
pub const SITES_MAX: usize = 1024;
const TRUSTEES_MAX: usize = 64;
/// Of two sites, each learns the other's counts from the sum.
const MIN_SITES: usize = 3;
/// A day.
const WINDOW_MS_MAX: u64 = 24 * 3600 * 1000;

/// A site, by its public key.
#[derive(Clone)]
pub struct SiteKey {
    pub name: String,
    pub(super) public: [u8; ED25519],
    pub(super) key: PKey<Public>,
}

/// A trustee, by its public key.
#[derive(Clone, Debug)]
pub struct TrusteeKey {
    pub name: String,
    pub(super) point: RistrettoPoint,
    pub(super) public: [u8; POINT],
}

/// A federation, checked: every trustee proved that it knows the secret of its key.
pub struct Federation {
    name: String,
    baseline: String,
    window_ms: u64,
    cells: usize,
    min_sites: usize,
    sites: Vec<SiteKey>,
    trustees: Vec<TrusteeKey>,
    joint: JointKey,
    terms: [u8; DIGEST],
    key_id: [u8; DIGEST],
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// Also the name of its stream of alerts.
    name: String,
    /// Of the bundle and budget that all sites score by.
    baseline: String,
    window_ms: u64,
    /// Cells of the bundle's signals.
    cells: usize,
    #[serde(default = "default_min_sites")]
    min_sites: usize,
    #[serde(default)]
    site: Vec<SiteText>,
    #[serde(default)]
    trustee: Vec<TrusteeText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteText {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrusteeText {
    name: String,
    key: String,
    proof: String,
}

fn default_min_sites() -> usize {
    MIN_SITES
}

impl Federation {
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, Rejection> {
        let wrong = |why: String| Err(Rejection::Federation(why));
        let text: Text = match toml::from_str(text) {
            Ok(text) => text,
            Err(error) => return wrong(error.to_string()),
        };
        keys::check_name(&text.name)?;
        if text.baseline.is_empty() || text.baseline.len() > 64 {
            return wrong("baseline is empty, or longer than 64 letters".into());
        }
        if text.window_ms == 0 || text.window_ms > WINDOW_MS_MAX {
            return wrong(format!("window_ms is 0, or above {WINDOW_MS_MAX}"));
        }
        if text.cells + COUNTS > COUNTERS_MAX {
            return wrong(format!("cells is above {}", COUNTERS_MAX - COUNTS));
        }
        let (sites, trustees) = (read_sites(&text)?, read_trustees(&text)?);
        if text.min_sites < MIN_SITES || text.min_sites > sites.len() {
            let n = sites.len();
            return wrong(format!(
                "min_sites must be from {MIN_SITES} to {n}, the number of sites"
            ));
        }
        let sum: RistrettoPoint = trustees.iter().map(|trustee| trustee.point).sum();
        if sum.is_identity() {
            return wrong("the trustees' keys add up to nothing".into());
        }
        let (terms, key_id) = (terms(&text), key_id(&sum, &trustees));
        let Text { name, baseline, window_ms, cells, min_sites, .. } = text;
        let joint = JointKey::new(&sum);
        Ok(Self {
            name,
            baseline,
            window_ms,
            cells,
            min_sites,
            sites,
            trustees,
            joint,
            terms,
            key_id,
        })
    }

    /// The first lines of the file; sites and trustees follow.
    pub fn head(name: &str, baseline: &str, window_ms: u64, cells: usize) -> String {
        format!(
            "name = \"{name}\"\nbaseline = \"{baseline}\"\nwindow_ms = {window_ms}\ncells = {cells}\nmin_sites = {MIN_SITES}\n"
        )
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn baseline(&self) -> &str {
        &self.baseline
    }

    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    /// A sum of fewer is not made, and not opened.
    pub fn min_sites(&self) -> usize {
        self.min_sites
    }

    pub fn sites(&self) -> &[SiteKey] {
        &self.sites
    }

    pub fn trustees(&self) -> &[TrusteeKey] {
        &self.trustees
    }

    /// Numbers of a window.
    pub fn counters(&self) -> usize {
        COUNTS + self.cells
    }

    /// The window that starts at `start`.
    ///
    /// # Errors
    /// If none does.
    pub fn window(&self, start: i64) -> Result<WindowStart, Rejection> {
        // Far from where sums of times would overflow.
        const LATEST: i64 = 1 << 53;
        match (0..LATEST).contains(&start) && start % self.window_ms as i64 == 0 {
            true => Ok(Timestamp(start)),
            false => Err(Rejection::NoWindow { window: start }),
        }
    }

    pub(super) fn joint(&self) -> &JointKey {
        &self.joint
    }

    pub(super) fn terms(&self) -> [u8; DIGEST] {
        self.terms
    }

    pub(super) fn key_id(&self) -> [u8; DIGEST] {
        self.key_id
    }
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Federation").field("name", &self.name).finish_non_exhaustive()
    }
}

fn read_sites(text: &Text) -> Result<Vec<SiteKey>, Rejection> {
    let mut sites = vec![];
    let mut seen = BTreeSet::new();
    if text.site.len() > SITES_MAX {
        return Err(Rejection::Federation(format!("there are more than {SITES_MAX} sites")));
    }
    for SiteText { name, key } in &text.site {
        keys::check_name(name)?;
        let wrong = |why: &str| Rejection::Federation(format!("site {name}: {why}"));
        let public: [u8; ED25519] =
            keys::unhex(key).ok_or_else(|| wrong("its key is not 64 hexadecimal digits"))?;
        let key = PKey::public_key_from_raw_bytes(&public, Id::ED25519)
            .map_err(|_| wrong("its key is no Ed25519 key"))?;
        if !seen.insert(name.clone()) || sites.iter().any(|site: &SiteKey| site.public == public) {
            return Err(wrong("its name or key is there twice"));
        }
        sites.push(SiteKey { name: name.clone(), public, key });
    }
    Ok(sites)
}

fn read_trustees(text: &Text) -> Result<Vec<TrusteeKey>, Rejection> {
    let mut trustees = vec![];
    let mut seen = BTreeSet::new();
    if text.trustee.is_empty() || text.trustee.len() > TRUSTEES_MAX {
        let why = format!("there must be from 1 to {TRUSTEES_MAX} trustees");
        return Err(Rejection::Federation(why));
    }
    for TrusteeText { name, key, proof } in &text.trustee {
        keys::check_name(name)?;
        let wrong = |why: &str| Rejection::Federation(format!("trustee {name}: {why}"));
        let public: [u8; POINT] =
            keys::unhex(key).ok_or_else(|| wrong("its key is not 64 hexadecimal digits"))?;
        let proof: [u8; PROOF] =
            keys::unhex(proof).ok_or_else(|| wrong("its proof is not 128 hexadecimal digits"))?;
        let point = group::point(&public).filter(|point| !point.is_identity());
        let point = point.ok_or_else(|| wrong("its key is no canonical point of Ristretto255"))?;
        let proof = Proof::from_bytes(&proof)
            .map_err(|_| wrong("its proof holds a scalar that is not canonical"))?;
        if !proof.is_of_logarithm(KEY_PURPOSE, &keys::context(name, &public), &point) {
            // Else the last to join could choose a key that cancels those of all others.
            return Err(wrong("its proof does not show that it knows the secret of its key"));
        }
        let same = |trustee: &TrusteeKey| trustee.public == public;
        if !seen.insert(name.clone()) || trustees.iter().any(same) {
            return Err(wrong("its name or key is there twice"));
        }
        trustees.push(TrusteeKey { name: name.clone(), point, public });
    }
    Ok(trustees)
}

/// What the numbers mean.
fn terms(text: &Text) -> [u8; DIGEST] {
    let Text { name, baseline, window_ms, cells, .. } = text;
    let numbers = [window_ms.to_le_bytes(), (*cells as u64).to_le_bytes()].concat();
    let parts = [name.as_bytes(), baseline.as_bytes(), &numbers];
    group::hash("terms", &parts)[..DIGEST].try_into().expect("shorter")
}

/// The joint key and whose it is.
fn key_id(sum: &RistrettoPoint, trustees: &[TrusteeKey]) -> [u8; DIGEST] {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(sum.compress().0);
    for trustee in trustees {
        hash.update((trustee.name.len() as u64).to_le_bytes());
        hash.update(&trustee.name);
        hash.update(trustee.public);
    }
    hash.finalize().into()
}
