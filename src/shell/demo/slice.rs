//! The images that the demo feeds: the `slice` folder beside its bundle.

use std::fs;
use std::path::{Path, PathBuf};

use super::image::PIXELS;
use super::queries::queries;

/// What Fashion-MNIST calls its labels, shortened to fit a caption.
pub const LABELS: [&str; 10] = [
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// What a record is in truth. Travels in a header of the feeder's own; the guard never looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Truth {
    Clean,
    /// A clean image with a backdoor's trigger on it.
    Trigger,
    /// A clean image, changed by projected gradient descent until the model errs.
    Pgd,
    /// A clean image with noise, about which somebody asks to find out how the model errs.
    Query,
    /// Nothing that can be read as an image.
    Malformed,
}

impl Truth {
    pub const ALL: [Self; 5] =
        [Self::Clean, Self::Trigger, Self::Pgd, Self::Query, Self::Malformed];

    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Clean images, two kinds of attacked ones with what they show in truth, and what a searcher asks.
#[derive(Debug)]
pub struct Slices {
    clean: Vec<u8>,
    trigger: Vec<u8>,
    trigger_labels: Vec<u8>,
    pgd: Vec<u8>,
    pgd_labels: Vec<u8>,
    queries: Vec<u8>,
}

/// Why there is nothing to feed.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    #[error("{path}: {error}; --bundle names a bundle with a slice of images beside it", path = path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{path} has {got} bytes; it needs {wanted}", path = path.display())]
    Size { path: PathBuf, got: usize, wanted: String },
}

impl Slices {
    /// Reads the slice beside the bundle in `bundle`.
    ///
    /// # Errors
    /// If a file is missing, empty, or not whole images.
    pub fn read(bundle: &Path) -> Result<Self, SliceError> {
        let read = |name: &str| {
            let path = bundle.join("slice").join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok((path, bytes)),
                Err(error) => Err(SliceError::Io { path, error }),
            }
        };
        let images = |name: &str| match read(name)? {
            (_, bytes) if !bytes.is_empty() && bytes.len() % PIXELS == 0 => Ok(bytes),
            (path, bytes) => {
                let wanted = format!("a multiple of {PIXELS}");
                Err(SliceError::Size { path, got: bytes.len(), wanted })
            }
        };
        let labels = |name: &str, images: &[u8]| match read(name)? {
            (_, bytes) if bytes.len() == images.len() / PIXELS => Ok(bytes),
            (path, bytes) => {
                let wanted = format!("{}, one per image", images.len() / PIXELS);
                Err(SliceError::Size { path, got: bytes.len(), wanted })
            }
        };
        let (trigger, pgd) = (images("trigger.u8")?, images("pgd.u8")?);
        Ok(Self {
            clean: images("clean.u8")?,
            trigger_labels: labels("trigger.labels.u8", &trigger)?,
            pgd_labels: labels("pgd.labels.u8", &pgd)?,
            trigger,
            pgd,
            queries: vec![],
        })
    }

    /// With what `accounts` ask who search.
    pub fn asking(self, accounts: usize, seed: u64) -> Self {
        Self { queries: queries(accounts, seed, &self.clean), ..self }
    }

    /// How many images there are of a kind; malformed records are made from clean ones.
    pub fn len(&self, truth: Truth) -> usize {
        self.of(truth).len() / PIXELS
    }

    /// Image `i` of a kind, 0 black to 255 white, `[784]`.
    pub fn image(&self, truth: Truth, i: usize) -> &[u8] {
        &self.of(truth)[i * PIXELS..][..PIXELS]
    }

    /// What attacked image `i` shows in truth.
    pub fn label(&self, truth: Truth, i: usize) -> Option<&'static str> {
        let label = match truth {
            Truth::Trigger => self.trigger_labels[i],
            Truth::Pgd => self.pgd_labels[i],
            Truth::Clean | Truth::Query | Truth::Malformed => return None,
        };
        LABELS.get(usize::from(label)).copied()
    }

    fn of(&self, truth: Truth) -> &[u8] {
        match truth {
            Truth::Clean | Truth::Malformed => &self.clean,
            Truth::Trigger => &self.trigger,
            Truth::Pgd => &self.pgd,
            Truth::Query => &self.queries,
        }
    }
}
