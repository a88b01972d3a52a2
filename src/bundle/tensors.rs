//! Named arrays of `f32`: what detectors and calibration learned.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Arrays by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

/// Why a tensor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    #[error("cannot read the file: {0}")]
    File(String),
    #[error("tensor {name} is missing")]
    Missing { name: String },
    #[error("tensor {name} has shape {got:?}; expected {expected}")]
    Shape { name: String, got: Vec<usize>, expected: String },
    #[error("tensor {name} holds {got}; expected F32")]
    Dtype { name: String, got: String },
    #[error("tensor {name} holds a number that is not finite")]
    NotFinite { name: String },
    #[error("tensor {name} holds {value}; expected {expected}")]
    Value { name: String, value: f32, expected: &'static str },
}

impl Tensors {
    pub fn put(&mut self, name: impl Into<String>, shape: &[usize], values: Vec<f32>) {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        self.0.insert(name.into(), (shape.to_vec(), values));
    }

    /// A tensor of exactly `[n]`, or of any length ≥ 1 when `n` is `None`.
    pub fn vector(&self, name: &str, n: Option<usize>) -> Result<Array1<f32>, TensorError> {
        let (shape, values) = self.get(name)?;
        let fits = shape.len() == 1 && n.map_or(shape[0] >= 1, |n| shape[0] == n);
        if !fits {
            let expected = n.map_or("[at least 1]".into(), |n| format!("[{n}]"));
            return Err(TensorError::Shape { name: name.into(), got: shape.clone(), expected });
        }
        Ok(Array1::from_vec(values.clone()))
    }

    /// Like [`Tensors::vector`], every value within `low..=high`, which `expected` puts into words.
    pub fn within(
        &self,
        name: &str,
        n: usize,
        (low, high): (f32, f32),
        expected: &'static str,
    ) -> Result<Array1<f32>, TensorError> {
        let vector = self.vector(name, Some(n))?;
        match vector.iter().find(|v| !(low..=high).contains(*v)) {
            Some(&value) => Err(TensorError::Value { name: name.into(), value, expected }),
            None => Ok(vector),
        }
    }

    /// A tensor of exactly `[n, d]`.
    pub fn matrix(&self, name: &str, n: usize, d: usize) -> Result<Array2<f32>, TensorError> {
        let (shape, values) = self.get(name)?;
        Array2::from_shape_vec((n, d), values.clone())
            .ok()
            .filter(|_| shape[..] == [n, d])
            .ok_or_else(|| TensorError::Shape {
                name: name.into(),
                got: shape.clone(),
                expected: format!("[{n}, {d}]"),
            })
    }

    /// A tensor of exactly `n` rows, of any width ≥ 1.
    pub fn rows(&self, name: &str, n: usize) -> Result<Array2<f32>, TensorError> {
        match self.get(name)?.0[..] {
            [rows, d] if rows == n && d > 0 => self.matrix(name, n, d),
            ref other => {
                let (name, expected) = (name.into(), format!("[{n}, at least 1]"));
                Err(TensorError::Shape { name, got: other.to_vec(), expected })
            }
        }
    }

    /// Like [`Tensors::matrix`], every value at least `min`.
    pub fn deviations(&self, name: &str, n: usize, d: usize) -> Result<Array2<f32>, TensorError> {
        let matrix = self.matrix(name, n, d)?;
        match matrix.iter().find(|v| **v <= 0.0) {
            Some(&value) => {
                Err(TensorError::Value { name: name.into(), value, expected: "positive numbers" })
            }
            None => Ok(matrix),
        }
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|(_, values)| size_of_val(&values[..])).sum()
    }

    fn get(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>), TensorError> {
        self.0.get(name).ok_or_else(|| TensorError::Missing { name: name.into() })
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, TensorError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| TensorError::File(e.to_string()))?;
        let mut tensors = Self::default();
        for (name, view) in file.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(TensorError::Dtype { name, got: format!("{:?}", view.dtype()) });
            }
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().expect("chunks of four")))
                .collect();
            if !values.iter().all(|v| v.is_finite()) {
                return Err(TensorError::NotFinite { name });
            }
            tensors.0.insert(name, (view.shape().to_vec(), values));
        }
        Ok(tensors)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes: BTreeMap<&str, Vec<u8>> = self
            .0
            .iter()
            .map(|(name, (_, values))| {
                (name.as_str(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = self.0.iter().map(|(name, (shape, _))| {
            let view = TensorView::new(Dtype::F32, shape.clone(), &bytes[name.as_str()]);
            (name.as_str(), view.expect("shape and length agree since `put`"))
        });
        safetensors::serialize(views, None).expect("plain tensors serialize")
    }
}
