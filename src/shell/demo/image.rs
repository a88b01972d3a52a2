//! How large the demo's images are.

/// Side of an image in pixels, and pixels of an image: Fashion-MNIST's.
pub const SIDE: usize = 28;
pub const PIXELS: usize = SIDE * SIDE;
