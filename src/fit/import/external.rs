//! Numbers that an exporter left in other files: brought into the file itself.
//!
//! PyTorch and others keep large tensors beside the `.onnx`. A bundle has one file per network, so
//! they are read once, here. Only files in the folder of the model, or below it, are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::wire::{self, Field, Wire};

/// Why a tensor's numbers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    #[error("is no ONNX file")]
    NotOnnx,
    #[error("keeps the tensor {tensor:?} in {}, which cannot be read: {source}", file.display())]
    Read { tensor: String, file: PathBuf, source: std::io::Error },
    #[error("keeps the tensor {tensor:?} in {location:?}, which is no file beside it")]
    Place { tensor: String, location: String },
    #[error("needs the file that holds its tensor {tensor:?}; give its path")]
    NoFolder { tensor: String },
    #[error("would be more than 2 GiB with the numbers from its other files")]
    TooLarge,
}

/// Messages on the way to a tensor, and the fields of each that lead there.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Message {
    fn inside(self, tag: u32) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Attribute, 6 | 11) => Self::Graph,
            _ => return None,
        })
    }
}

/// Fields of `TensorProto`.
const NAME: u32 = 8;
const RAW_DATA: u32 = 9;
const EXTERNAL_DATA: u32 = 13;
const DATA_LOCATION: u32 = 14;

/// Messages within messages.
const DEPTH_MAX: usize = 64;

/// protobuf's own limit on a message.
const BYTES_MAX: u64 = i32::MAX as u64;

/// The model with every tensor in it; `None` if it already is so.
///
/// # Errors
/// If a tensor's file cannot be read, or is none beside the model.
pub fn pull_in(onnx: &[u8], folder: Option<&Path>) -> Result<Option<Vec<u8>>, ExternalError> {
    pull(Message::Model, onnx, folder, DEPTH_MAX)
}

fn pull(
    message: Message,
    bytes: &[u8],
    folder: Option<&Path>,
    depth: usize,
) -> Result<Option<Vec<u8>>, ExternalError> {
    let depth = depth.checked_sub(1).ok_or(ExternalError::NotOnnx)?;
    let mut fields = wire::read(bytes).ok_or(ExternalError::NotOnnx)?;
    if let Message::Tensor = message {
        return tensor(fields, folder);
    }
    let mut changed = false;
    for field in &mut fields {
        let Some(inside) = message.inside(field.tag) else { continue };
        let Some(bytes) = field.as_bytes() else { continue };
        if let Some(bytes) = pull(inside, bytes, folder, depth)? {
            *field = Field::bytes(field.tag, bytes);
            changed = true;
        }
    }
    Ok(changed.then(|| wire::write(&fields)))
}

fn tensor(
    mut fields: Vec<Field<'_>>,
    folder: Option<&Path>,
) -> Result<Option<Vec<u8>>, ExternalError> {
    let said = |fields: &[Field<'_>], tag| -> Option<String> {
        let field = fields.iter().rev().find(|field| field.tag == tag)?;
        Some(String::from_utf8_lossy(field.as_bytes()?).into_owned())
    };
    let elsewhere = |field: &Field<'_>| {
        field.tag == DATA_LOCATION && matches!(field.value, Wire::Varint(place) if place != 0)
    };
    if !fields.iter().any(elsewhere) {
        return Ok(None);
    }
    let name = said(&fields, NAME).unwrap_or_default();
    let (mut location, mut offset, mut length) = (String::new(), 0_u64, None);
    for entry in fields.iter().filter(|field| field.tag == EXTERNAL_DATA) {
        let entry = entry.as_bytes().and_then(wire::read).ok_or(ExternalError::NotOnnx)?;
        let value = said(&entry, 2).unwrap_or_default();
        match said(&entry, 1).as_deref() {
            Some("location") => location = value,
            Some("offset") => offset = value.parse().map_err(|_| ExternalError::NotOnnx)?,
            Some("length") => length = Some(value.parse().map_err(|_| ExternalError::NotOnnx)?),
            _ => {}
        }
    }
    let path = Path::new(&location);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if location.is_empty() || !inside {
        return Err(ExternalError::Place { tensor: name, location });
    }
    let Some(folder) = folder else { return Err(ExternalError::NoFolder { tensor: name }) };
    let file = folder.join(path);
    let numbers = read(&file, offset, length);
    let numbers = numbers.map_err(|source| ExternalError::Read { tensor: name, file, source })?;
    if numbers.len() as u64 > BYTES_MAX {
        return Err(ExternalError::TooLarge);
    }
    fields.retain(|field| ![RAW_DATA, EXTERNAL_DATA, DATA_LOCATION].contains(&field.tag));
    fields.push(Field::bytes(RAW_DATA, numbers));
    Ok(Some(wire::write(&fields)))
}

/// `length` bytes of the file from `offset` on, or all to its end.
fn read(file: &Path, offset: u64, length: Option<u64>) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut numbers = vec![];
    file.take(length.unwrap_or(BYTES_MAX + 1).min(BYTES_MAX + 1)).read_to_end(&mut numbers)?;
    match length {
        Some(length) if (numbers.len() as u64) < length => {
            Err(std::io::Error::other(format!("it ends before its {length} bytes")))
        }
        _ => Ok(numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor that says it lies at `location`.
    fn model(location: &str, entries: &[(&str, &str)]) -> Vec<u8> {
        let entry = |key: &str, value: &str| {
            let fields = [(1, key), (2, value)]
                .map(|(tag, text)| Field::bytes(tag, text.as_bytes().to_vec()));
            Field::bytes(EXTERNAL_DATA, wire::write(&fields))
        };
        let mut tensor = vec![
            Field::bytes(NAME, b"w".to_vec()),
            Field::varint(DATA_LOCATION, 1),
            entry("location", location),
        ];
        tensor.extend(entries.iter().map(|(key, value)| entry(key, value)));
        // In a constant of a node of a function: the longest way to a tensor.
        let attribute = wire::write(&[Field::bytes(5, wire::write(&tensor))]);
        let node = wire::write(&[Field::bytes(5, attribute)]);
        let function = wire::write(&[Field::bytes(7, node)]);
        wire::write(&[Field::varint(1, 8), Field::bytes(25, function)])
    }

    #[test]
    fn the_numbers_of_other_files_are_brought_in_wherever_the_tensor_stands() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("w.data"), b"abcdefgh").unwrap();
        let onnx = model("w.data", &[("offset", "2"), ("length", "4")]);
        let pulled = pull_in(&onnx, Some(folder.path())).unwrap().unwrap();
        assert!(pulled.windows(4).any(|bytes| bytes == b"cdef"));
        assert!(!pulled.windows(6).any(|bytes| bytes == b"w.data"));
        assert!(pull_in(&pulled, None).unwrap().is_none());
    }

    #[test]
    fn only_a_file_beside_the_model_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for location in ["/etc/passwd", "../w.data", "", "a/../../b"] {
            let refused = pull_in(&model(location, &[]), Some(folder.path())).unwrap_err();
            assert!(matches!(refused, ExternalError::Place { .. }), "{location}: {refused}");
        }
        let cut = model("w.data", &[("length", "4")]);
        std::fs::write(folder.path().join("w.data"), b"abc").unwrap();
        let refused = pull_in(&cut, Some(folder.path())).unwrap_err().to_string();
        assert!(refused.contains("it ends before"), "{refused}");
    }
}
