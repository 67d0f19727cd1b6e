#include "boundlight/models/input_form.hpp"

#include <algorithm>
#include <cmath>

#include "boundlight/models/errors.hpp"

namespace boundlight {
namespace {

constexpr std::int64_t kSmallestSquare = 8;  // below, a vector is more likely a table's row than an image

// How much a dimension looks like channels.
int likeness(std::int64_t channels) { return channels == 1 || channels == 3 ? 2 : channels == 4 ? 1 : 0; }

std::optional<std::int64_t> square_root(std::int64_t n) {
  auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(n))));
  return side * side == n ? std::optional(side) : std::nullopt;
}

std::string words(const InputForm& form) {
  const std::string size = std::to_string(form.height) + "x" + std::to_string(form.width);
  if (form.channels == 1) return size + " grey image";
  if (form.channels == 3) return size + (form.reversed ? " BGR image" : " RGB image");
  return size + " image of " + std::to_string(form.channels) + " channels";
}

// The dimensions behind the batch, and which of them stand for rows, columns and channels.
class Finder {
 public:
  Finder(const Shape& shape, const InputOptions& options, const std::string& source, std::optional<ImageSize> picture)
      : options_(options), source_(source), picture_(picture) {
    form_.shape = shape;
    first_ = shape.size() >= 2 && (shape[0] == 1 || shape[0] == -1) ? 1 : 0;
    if (first_ == 1) form_.shape[0] = 1;
  }

  Result<InputForm> find() {
    const Layout layout = options_.layout.value_or(Layout::automatic);
    if (std::count(form_.shape.begin(), form_.shape.end(), 0) > 0) {
      return bad_input(source_, "its input " + to_string(form_.shape) + " holds no numbers; export the model again");
    }
    form_.reversed = options_.channels == ChannelOrder::bgr;
    BL_CHECK(options_.image ? from_option(layout) : layout == Layout::flat ? vector() : from_shape(layout));
    if (form_.reversed && (!form_.image || form_.channels < 3)) {
      return bad_input("option --channels", "bgr needs an input of three channels, but " + source_ + " takes " + to_string(form_.shape) + "; leave it out");
    }
    return form_;
  }

 private:
  std::size_t rank() const { return form_.shape.size() - first_; }
  std::int64_t dim(std::size_t i) const { return form_.shape[first_ + i]; }
  bool has_free() const { return std::any_of(form_.shape.begin(), form_.shape.end(), [](auto d) { return d < 0; }); }

  Error free_size() const {
    return bad_input(source_, "its input " + to_string(form_.shape) + " leaves sizes open that nothing settles; give an image, or an array of the same rank");
  }

  Result<void> vector() {
    if (has_free()) return free_size();
    form_.image = false;
    form_.height = form_.channels = 1;
    const auto count = element_count(form_.shape);
    if (!count) return bad_input(source_, "its input " + to_string(form_.shape) + " is too large");
    form_.width = *count;
    return {};
  }

  Result<void> image(std::int64_t height, std::int64_t width, std::int64_t channels, bool interleaved) {
    const auto count = element_count(form_.shape);
    if (!count) return bad_input(source_, "its input " + to_string(form_.shape) + " is too large");
    demand(*count == height * width * channels, "infer_form: the image is not the tensor");
    form_.image = true;
    form_.height = height;
    form_.width = width;
    form_.channels = channels;
    form_.interleaved = interleaved;
    return {};
  }

  // Dimensions `rows` and `columns` of the tensor are the image's; `channels` is the third one or rank() for none.
  Result<void> axes(std::size_t rows, std::size_t columns, std::size_t channels) {
    for (const auto& [axis, size] : {std::pair{rows, picture_ ? picture_->height : 0}, {columns, picture_ ? picture_->width : 0}}) {
      auto& d = form_.shape[first_ + axis];
      if (d < 0 && size > 0) d = size;
    }
    if (channels < rank() && dim(channels) < 0 && picture_ && picture_->channels > 0) form_.shape[first_ + channels] = picture_->channels;
    if (has_free()) return free_size();
    const std::int64_t depth = channels < rank() ? dim(channels) : 1;
    return image(dim(rows), dim(columns), depth, channels < rank() && channels > rows);
  }

  Result<void> from_option(Layout layout) {
    const ImageSize& size = *options_.image;
    std::string shown = std::to_string(size.height) + "x" + std::to_string(size.width);
    if (size.channels > 0) (shown += 'x') += std::to_string(size.channels);
    if (has_free()) {
      picture_ = size;
      return from_shape(layout);
    }
    const auto count = element_count(form_.shape).value_or(0);
    const std::int64_t pixels = size.height * size.width;
    const std::int64_t depth = size.channels > 0 ? size.channels : count / pixels;
    if (layout == Layout::flat || depth == 0 || pixels * depth != count) {
      return bad_input("option --image", shown + " does not fit " + source_ + ", which takes " + to_string(form_.shape) + "; correct the size");
    }
    const bool last = rank() == 3 && dim(2) == depth && dim(0) == size.height && !(dim(0) == depth && dim(2) == size.width);
    return image(size.height, size.width, depth, layout == Layout::nhwc || (layout == Layout::automatic && last));
  }

  Result<void> from_shape(Layout layout) {
    const auto long_dims = std::count_if(form_.shape.begin(), form_.shape.end(), [](auto d) { return d != 1; });
    if (long_dims <= 1) return from_line(layout);
    if (rank() == 2) {
      BL_CHECK(axes(0, 1, 2));
    } else if (rank() == 3) {
      const int first = likeness(dim(0)), last = likeness(dim(2));
      if (layout == Layout::automatic && long_dims == 2 && first + last == 0) return vector();  // 28x1x28: no image
      const bool interleaved = layout == Layout::nhwc || (layout == Layout::automatic && last > first);
      BL_CHECK(interleaved ? axes(0, 1, 2) : axes(1, 2, 0));
      if (layout == Layout::automatic && first == last && first > 0 && dim(0) * dim(2) > 1) {
        form_.reading = to_string(form_.shape) + " is read with channels first (--layout nhwc for the other reading)";
      }
    } else {
      return vector();
    }
    return {};
  }

  // All numbers in one line: 784, 1x784, 1x784x1, 1x1x1x5.
  Result<void> from_line(Layout layout) {
    BL_CHECK(vector());
    const std::int64_t n = form_.width;
    if (const auto side = square_root(n); side && *side >= kSmallestSquare) {
      BL_CHECK(image(*side, *side, 1, false));
      form_.reading = to_string(form_.shape) + " is read as a " + words(form_) + " (inferred; --layout flat for a plain vector)";
      return {};
    }
    const auto side = n % 3 == 0 ? square_root(n / 3) : std::nullopt;
    if (!side || *side < kSmallestSquare) return {};
    if (layout == Layout::automatic) {  // which of the two channel orders cannot be told
      form_.reading = to_string(form_.shape) + " is read as a plain vector (--layout nchw or nhwc to read it as " + std::to_string(*side) + "x" + std::to_string(*side) + " RGB)";
      return {};
    }
    BL_CHECK(image(*side, *side, 3, layout == Layout::nhwc));
    form_.reading = to_string(form_.shape) + " is read as a " + words(form_);
    return {};
  }

  const InputOptions& options_;
  const std::string& source_;
  std::optional<ImageSize> picture_;
  InputForm form_;
  std::size_t first_ = 0;
};

}  // namespace

PixelPlace InputForm::place(std::int64_t element) const {
  PixelPlace p;
  const std::int64_t c = model_channel(element);
  const std::int64_t pixel = interleaved ? element / channels : element % (height * width);
  p.channel = reversed && c < 3 ? 2 - c : c;
  p.row = pixel / width;
  p.column = pixel % width;
  return p;
}

Result<InputForm> infer_form(const Shape& shape, const InputOptions& options, const std::string& source, std::optional<ImageSize> picture) {
  return Finder(shape, options, source, picture).find();
}

std::vector<double> in_image_order(const InputForm& form, const std::vector<double>& per_element) {
  demand(per_element.size() == static_cast<std::size_t>(form.size()), "in_image_order: " + std::to_string(per_element.size()) + " numbers for " + to_string(form.shape));
  std::vector<double> ordered;
  ordered.reserve(per_element.size());
  for (std::int64_t r = 0; r < form.height; ++r) {
    for (std::int64_t q = 0; q < form.width; ++q) {
      for (std::int64_t c = 0; c < form.channels; ++c) ordered.push_back(per_element[static_cast<std::size_t>(form.element({r, q, c}))]);
    }
  }
  return ordered;
}

Picture picture_of(const InputForm& form, const std::vector<double>& pixels, double high) {
  demand(form.image && likeness(form.channels) > 0 && high > 0, "picture_of: " + to_string(form.shape) + " is no image that can be drawn");
  Picture picture{form.height, form.width, form.channels, {}};
  for (const double p : in_image_order(form, pixels)) {
    const double level = std::clamp(255 * p / high, 0.0, 255.0);
    picture.samples.push_back(static_cast<std::uint8_t>(std::lround(level)));
  }
  return picture;
}

}  // namespace boundlight
