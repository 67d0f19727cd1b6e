// The array readers: .npz, .npy or CSV by the first bytes; a first byte of '@' makes the rest an address and a part.
#include <cstddef>
#include <cstdint>

#include "boundlight/models/array.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;

namespace {

constexpr ArrayOptions kOptions{.max_bytes = 1 << 20};

void check(const Result<Tensor>& array) {
  if (!array.ok()) return fuzz::expect_sentence(array.error());
  const auto again = decode_npy(encode_npy(*array), "again.npy");
  fuzz::expect(again.ok() && again->bytes() == array->bytes() && again->shape() == array->shape(), "an array that does not come back");
}

void read_npz(std::string_view bytes) {
  const auto names = list_npz(bytes, "f.npz");
  if (!names.ok()) return fuzz::expect_sentence(names.error());
  check(decode_npz(bytes, "", "f.npz", kOptions));
  for (std::size_t i = 0; i < names->size() && i < 4; ++i) check(decode_npz(bytes, (*names)[i], "f.npz", kOptions));
}

void take(std::string_view text) {
  const auto address = parse_array_address(text);
  if (!address.ok()) return fuzz::expect_sentence(address.error());
  const auto part = take_part(Tensor(DataType::int16, {3, 4, 5}), address->parts, "t");
  if (!part.ok()) return fuzz::expect_sentence(part.error());
  fuzz::expect(part->size() <= 60, "a part larger than the whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("@")) take(bytes.substr(1));
  else if (bytes.starts_with("PK")) read_npz(bytes);
  else if (bytes.starts_with("\x93NUMPY")) check(decode_npy(bytes, "a.npy", kOptions));
  else check(decode_csv(bytes, "p.csv"));
  return 0;
}
