//! Networks that learn. One loop ([`trainer`]) moves every one of them; [`networks`] says which are
//! trained for a bundle, and with what.

pub mod autoencoder;
pub mod brought;
pub mod dense;
pub mod error;
pub mod function;
pub mod protected;
pub mod likelihood;
pub mod material;
pub mod networks;
pub mod restorer;
pub mod residual;
pub mod odds;
pub mod colour;
pub mod copies;
pub mod queries;
pub mod trainer;
pub mod weights;
