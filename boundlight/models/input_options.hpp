// How the numbers of a file become a model's input: one set of options for every command, and the file
// `<model's name>.boundlight.json` beside the model that gives them once (docs/inputs.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "boundlight/core/result.hpp"

namespace boundlight {

enum class Layout : std::uint8_t {
  automatic,  // from the shape
  nchw,       // channels first
  nhwc,       // channels last
  flat,       // a plain vector, no image
};
enum class ChannelOrder : std::uint8_t { rgb, bgr };

// 0: open. `resize` with height 0: to whatever the model takes.
struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
};

// over / under, kept apart so that a byte times 1/255 is the correctly rounded quotient.
struct Ratio {
  double over = 1;
  double under = 1;
};

// model value = (pixel - mean) / std, pixel = scale * number in the file. Nothing or empty: not given.
struct InputOptions {
  std::optional<Ratio> scale;  // default: 1/255 for bytes, 1/65535 for 16 bits, else 1
  std::vector<double> mean;    // one number, one per channel of the model, or one per element
  std::vector<double> std;     // likewise; positive
  std::optional<Layout> layout;
  std::optional<ImageSize> image;   // how a flat input is an image
  std::optional<ImageSize> resize;
  std::optional<ChannelOrder> channels;
  std::vector<std::string> labels;  // names of the classes, in order
};

// Sets one option from text as on a command line: name "scale" ("1/255"), "mean" and "std" ("0.5" or "0.4,0.5,0.6"),
// "layout" (auto, nchw, nhwc, flat), "image" ("28x28", "32x32x3"), "resize" ("auto", "224x224"), "channels" (rgb, bgr).
// Errors name the place "option --<name>". Precondition: the name is one of these.
Result<void> set_input_option(InputOptions& options, std::string_view name, std::string_view text);

// Every option that `stronger` gives replaces that of `weaker`.
InputOptions merged(const InputOptions& weaker, const InputOptions& stronger);

// "dir/net.onnx" -> "dir/net.boundlight.json".
std::filesystem::path side_file_of(const std::filesystem::path& model);

// The side file's options; none when there is no such file. Unknown fields, wrong types and impossible values are errors.
Result<InputOptions> load_side_file(const std::filesystem::path& model);
Result<InputOptions> parse_side_file(std::string_view json, const std::string& source);

// Class names: a JSON list of texts, or one name per line.
Result<std::vector<std::string>> load_labels(const std::filesystem::path& path);

}  // namespace boundlight
