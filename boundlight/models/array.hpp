// Arrays on disk: .npy (format versions 1 to 3), .npz (stored and deflated, zip64), .csv -> Tensor, and .npy/.npz back.
//
// An address names a file, a member of an .npz file, and a part:
//   images.npy   images.npy[3]   data.npz:images[0:100]   data.npz:x[-1]   data.npz:x[2,:,0]   points.csv[7]
// A number takes one entry and drops the axis (negative: from the end), a:b takes a range, as in NumPy without steps.
// The member may be left out when the file has only one.
//
// Element types: f2 f4 f8 i1..i8 u1..u8 bool; big endian is swapped, Fortran order is put in row order. CSV numbers are
// float64 of shape rows x columns.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "boundlight/models/graph.hpp"

namespace boundlight {

struct ArrayOptions {
  std::uint64_t max_bytes = std::uint64_t{1} << 33;  // of a file, and of an unpacked array
};

// One axis of a part: a single entry, or a range with open ends.
struct AxisPart {
  bool single = false;
  std::optional<std::int64_t> begin;  // of a single entry: its index
  std::optional<std::int64_t> end;
};

struct ArrayAddress {
  std::filesystem::path file;
  std::string member;           // "" when none is named
  std::vector<AxisPart> parts;  // leading axes; the others are taken whole
};

// Only splits the text; an existing file whose whole name is the text wins over the reading as an address.
Result<ArrayAddress> parse_array_address(std::string_view text);

// Reads what the address names. From an .npy file in row order only the wanted entries of the first axis are read.
// Errors: missing file or member, object arrays, damaged or short files, parts out of range.
Result<Tensor> load_array(std::string_view address, const ArrayOptions& options = {});

Result<Tensor> decode_npy(std::string_view bytes, const std::string& source, const ArrayOptions& options = {});
Result<Tensor> decode_csv(std::string_view bytes, const std::string& source);
// `member` without ".npy"; "" takes the only one.
Result<Tensor> decode_npz(std::string_view bytes, const std::string& member, const std::string& source, const ArrayOptions& options = {});
// The members' names without ".npy", in the file's order.
Result<std::vector<std::string>> list_npz(std::string_view bytes, const std::string& source);

// The part of `array`; errors name `source`.
Result<Tensor> take_part(const Tensor& array, const std::vector<AxisPart>& parts, const std::string& source);

// Files that NumPy reads. bfloat16, which it does not know, is written as float32. Members are stored, not compressed;
// the same arrays give the same bytes. Error: an .npz file of 4 GiB or more.
std::string encode_npy(const Tensor& array);
Result<std::string> encode_npz(const std::vector<std::pair<std::string, Tensor>>& members);

}  // namespace boundlight
