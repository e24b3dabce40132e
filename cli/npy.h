// NumPy's .npy files (versions 1 and 2, little endian, C order) and .npz archives (zip, stored).
#pragma once

#include <string>
#include <vector>

#include "intaglio/types.h"

namespace intaglio::cli {

// Reads an array. bool, signed and unsigned integers, f2, f4, f8. Throws Error (file): missing, truncated, not .npy,
// big endian, Fortran order, objects; the origin is the path.
Tensor read_npy(const std::string& path);

// Reads all arrays of a .npz archive whose members are stored, not compressed (numpy.savez). Throws Error (file) as
// read_npy.
std::vector<NamedTensor> read_npz(const std::string& path);

// The bytes of a .npy file. bf16 has no NumPy type and is written as u2.
std::string npy_bytes(const Tensor& tensor);

// Writes one array (.npy) or several (.npz, one member per name), atomically: a temporary file beside `path`, then a
// rename. Throws Error (file), leaving nothing behind; Error (usage) for other extensions or several outputs into one
// .npy.
void write_outputs(const std::string& path, const std::vector<NamedTensor>& tensors);

}  // namespace intaglio::cli
