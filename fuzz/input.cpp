// Side file, options and the fitting of arrays: the first bytes choose the model's shape and the array's, the rest is the
// side file's text.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "boundlight/models/preprocess.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;

namespace {

// A shape of up to four dimensions, taken from two bytes each: the number of dimensions first.
Shape shape_of(const std::uint8_t*& data, std::size_t& size, bool free_allowed) {
  static constexpr std::int64_t kSizes[] = {1, 3, 4, 5, 8, 9, 64, 784, 192, 2, -1, 0};
  Shape shape;
  if (size == 0) return shape;
  const int rank = *data % 5;
  ++data, --size;
  for (int i = 0; i < rank && size > 0; ++i, ++data, --size) {
    const std::int64_t d = kSizes[*data % std::size(kSizes)];
    shape.push_back(d < 0 && !free_allowed ? 7 : d);
  }
  return shape;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Shape model = shape_of(data, size, true), array = shape_of(data, size, false);
  const auto options = parse_side_file({reinterpret_cast<const char*>(data), size}, "m.json");
  if (!options.ok()) {
    fuzz::expect_sentence(options.error());
    return 0;
  }
  const auto count = element_count(array);
  if (!count || *count > 5000) return 0;
  if (options->resize && (options->resize->height > 64 || options->resize->width > 64)) return 0;
  if (options->image && options->image->height * options->image->width > 5000) return 0;
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < *count; ++i) numbers.push_back(static_cast<double>(i % 256));
  const auto type = *count % 2 == 0 ? DataType::uint8 : DataType::float32;
  const auto samples = prepare_inputs(Tensor::from_doubles(type, array, numbers), model, *options, "a.npy");
  if (!samples.ok()) {
    fuzz::expect_sentence(samples.error());
    return 0;
  }
  for (const auto& s : *samples) {
    const auto n = static_cast<std::size_t>(s.map.form.size());
    fuzz::expect(s.pixels.size() == n && s.values.size() == n, "a sample's size");
    for (std::size_t i = 0; i < n; ++i) {
      const auto e = static_cast<std::int64_t>(i);
      const Interval v = s.map.value(e, Interval(s.pixels[i]));
      fuzz::expect(std::isnan(s.values[i]) || v.contains(s.values[i]), "a value outside of its interval");
      fuzz::expect(s.map.form.element(s.map.form.place(e)) == e, "an element that does not come back");
    }
  }
  return 0;
}
