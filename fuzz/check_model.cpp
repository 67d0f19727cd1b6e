// The checker's own reader of models, and its bounds on what it read: no crash, no crossed interval.
#include <cstddef>
#include <cstdint>

#include "boundlight/solver/check/bounds.hpp"
#include "fuzz/expect.hpp"

using namespace boundlight;
using namespace boundlight::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Model model;
  try {
    model = read_model({reinterpret_cast<const char*>(data), size}, 1 << 12);
  } catch (const Refusal& r) {
    fuzz::expect(!r.place.empty() && std::string(r.what()).size() < 1000, "a refusal without place or of great length");
    return 0;
  }
  const std::size_t n = model.tensors[model.input].size;
  const Box box{std::vector<double>(n, -1), std::vector<double>(n, 1)};
  const Certificate none;
  const Propagation propagation(model, none);
  Bounds backward;
  backward.mode = Bounds::Mode::backward;
  const auto boxes = propagation.boxes(box, nullptr, {}, &backward);
  fuzz::expect(!boxes->empty, "sound bounds that exclude each other");
  for (const Box& b : boxes->of)
    for (std::size_t i = 0; i < b.lower.size(); ++i) fuzz::expect(b.lower[i] <= b.upper[i], "a crossed interval");
  Row row;
  row.terms.push_back({model.output, 0, 1, 0});
  const auto form = propagation.backward(*boxes, {row})[0];
  fuzz::expect(form.a.size() == n, "a form of the wrong size");
  fuzz::expect(!(lowest(form, box) > boxes->of[model.output].upper[0]), "a lower bound above the upper one");
  return 0;
}
