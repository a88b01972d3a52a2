//! ONNX Runtime, loaded from a shared library at start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;

/// The loaded library. One per process; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    pub(super) environment: Environment,
    library: Arc<Path>,
}

const LIBRARY: &str = "libonnxruntime.so";
/// Where `scripts/setup` puts it.
const TOOLS: &str = ".tools/onnxruntime";

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error(
        "no ONNX Runtime library: set `onnxruntime` in the configuration or ORT_DYLIB_PATH to \
         libonnxruntime.so, or put that beside tripline ({library} does not exist)", library = .0.display()
    )]
    NotFound(PathBuf),
    #[error("cannot load ONNX Runtime from {library}: {reason}")]
    Load { library: PathBuf, reason: String },
}

impl Runtime {
    /// Loads `library`, else `$ORT_DYLIB_PATH`, else `libonnxruntime.so` beside the executable, in `lib/tripline`
    /// beside its `bin`, or where `make` puts it in a checkout.
    ///
    /// The first library loaded in a process stays; later calls reuse it whatever they name.
    /// Telemetry is switched off.
    ///
    /// # Errors
    /// If the library does not exist, does not load, or is older than ONNX Runtime 1.24.
    pub fn load(library: Option<&Path>) -> Result<Self, RuntimeError> {
        // ONNX Runtime allows one environment per process; a lock, not a `OnceLock`, because loading
        // can fail and be tried again with another path.
        static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return Ok(runtime.clone());
        }
        let library = match library {
            Some(path) => path.to_owned(),
            None => Self::default_library(),
        };
        if !library.exists() {
            return Err(RuntimeError::NotFound(library));
        }
        let failed = |reason: String| RuntimeError::Load { library: library.clone(), reason };
        let environment = ort::init_from(&library)
            .map_err(|e| failed(e.to_string()))?
            .with_name("tripline")
            .with_telemetry(false)
            .build()
            .map_err(|e| failed(e.to_string()))?;
        Ok(loaded.insert(Self { environment, library: library.into() }).clone())
    }

    /// The loaded file.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The commit the loaded library was built from, as it reports itself.
    pub fn build(&self) -> String {
        // "ORT Build Info: git-branch=HEAD, git-commit-id=fab30a4, build type=Release".
        let info = ort::info();
        let commit = info.split("git-commit-id=").nth(1).and_then(|rest| rest.split(',').next());
        commit.unwrap_or(info).to_owned()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "where ONNX Runtime lies is its own variable's to say"
    )]
    fn default_library() -> PathBuf {
        if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
            return path.into();
        }
        let exe = std::env::current_exe().and_then(|exe| exe.canonicalize()).unwrap_or_default();
        let folder = exe.parent().unwrap_or(Path::new(""));
        let beside = folder.join(LIBRARY);
        // `target/debug/tripline` of a checkout whose tools are in `.tools`; or a prefix with `bin` and `lib`.
        let checkout = folder.ancestors().skip(1).take(3).map(|up| up.join(TOOLS).join(LIBRARY));
        let prefix = folder.parent().map(|up| up.join("lib").join("tripline").join(LIBRARY));
        let here = Path::new(TOOLS).join(LIBRARY);
        let mut all = [beside.clone()].into_iter().chain(prefix).chain(checkout).chain([here]);
        all.find(|library| library.exists()).unwrap_or(beside)
    }
}
