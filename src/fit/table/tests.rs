//! Every format through one battery: the same table, the same cells.
