// The header of an .npy file, for the readers that take the data from different places.
#pragma once

#include "boundlight/models/array.hpp"

namespace boundlight {

struct NpyHeader {
  DataType type = DataType::float32;
  bool swapped = false;  // big endian
  bool fortran = false;
  Shape shape;
  std::uint64_t data_offset = 0;
  std::uint64_t data_bytes = 0;
};

inline constexpr std::size_t kMostNpyHeader = 1 << 16;  // what NumPy's own reader allows, too, with its default settings

// `bytes`: the file's beginning, at least min(file size, kMostNpyHeader + 12) bytes of it.
Result<NpyHeader> read_npy_header(std::string_view bytes, const std::string& source);

// The tensor of `shape` from data as the header describes it; `data` has exactly the right length.
Tensor npy_tensor(const NpyHeader& header, Shape shape, std::string data);

}  // namespace boundlight
