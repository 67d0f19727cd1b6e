#include "boundlight/models/preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "boundlight/models/errors.hpp"

namespace boundlight {
namespace {

// An image before it is fitted: row by row, channels together, in pixel units.
struct Raw {
  ImageSize size;
  std::vector<double> pixels;
};

std::string sides(std::int64_t height, std::int64_t width) { return std::to_string(height) + "x" + std::to_string(width); }

std::string shown(double x) {
  char number[32];
  std::snprintf(number, sizeof number, "%.6g", x);
  return number;
}

std::string shown(const std::vector<double>& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size() && i < 4; ++i) text += shown(values[i]) + (i + 1 < values.size() ? ", " : "");
  return text + (values.size() > 4 ? "..." : "");
}

std::string shown(const Ratio& r) {
  std::string text = shown(r.over);
  if (r.under != 1) (text += '/') += shown(r.under);
  return text;
}

double scaled(double x, const Ratio& r) { return x * r.over / r.under; }

// Everything that is the same for all samples of one call.
struct Job {
  const Shape& model_shape;
  const InputOptions& options;
  const std::string& source;
  std::int64_t samples = 1;
};

Result<void> check_lengths(const InputForm& form, const std::vector<double>& values, const char* name) {
  const auto n = static_cast<std::int64_t>(values.size());
  if (n == 1 || n == form.channels || n == form.size()) return {};
  return bad_input(std::string("option --") + name, "has " + std::to_string(n) + " numbers, the model's input " + to_string(form.shape) + " has " + std::to_string(form.channels) + " channel" + (form.channels == 1 ? "" : "s") + "; give one number or one per channel");
}

// Fills values and text of a sample whose pixels are there.
Result<PreparedInput> finish(PreparedInput sample, const Job& job) {
  const auto& [shape, options, source, samples] = job;
  sample.map.mean = options.mean.empty() ? std::vector<double>{0} : options.mean;
  sample.map.std = options.std.empty() ? std::vector<double>{1} : options.std;
  BL_CHECK(check_lengths(sample.map.form, sample.map.mean, "mean"));
  BL_CHECK(check_lengths(sample.map.form, sample.map.std, "std"));
  if (!sample.map.form.reading.empty()) sample.applied.push_back(sample.map.form.reading);
  if (sample.map.form.reversed) sample.applied.emplace_back("channels in the order blue, green, red");
  if (!options.mean.empty() || !options.std.empty()) {
    sample.applied.push_back("(pixel - mean) / std with mean " + shown(sample.map.mean) + " and std " + shown(sample.map.std));
  }
  sample.values.reserve(sample.pixels.size());
  for (std::size_t i = 0; i < sample.pixels.size(); ++i) {
    sample.values.push_back(sample.map.value(static_cast<std::int64_t>(i), sample.pixels[i]));
    if (!std::isfinite(sample.values.back())) return bad_input("option --std", "makes a value too large for a number; correct mean and std");
  }
  return sample;
}

// Makes the channels of `raw` those that the model takes.
Result<void> fit_channels(Raw& raw, std::int64_t wanted, std::vector<std::string>& applied, const std::string& source) {
  const std::int64_t have = raw.size.channels;
  if (have == wanted) return {};
  const auto pixels = static_cast<std::size_t>(raw.size.height * raw.size.width);
  std::vector<double> out;
  out.reserve(pixels * static_cast<std::size_t>(wanted));
  if (have == 1 && wanted == 3) {
    for (const double p : raw.pixels) out.insert(out.end(), 3, p);
    applied.emplace_back("grey repeated in three channels");
  } else if (have == 3 && wanted == 1) {
    bool coloured = false;
    for (std::size_t i = 0; i < pixels; ++i) {
      const double r = raw.pixels[3 * i], g = raw.pixels[3 * i + 1], b = raw.pixels[3 * i + 2];
      const bool grey = r == g && g == b;
      coloured = coloured || !grey;
      out.push_back(grey ? r : 0.299 * r + 0.587 * g + 0.114 * b);
    }
    applied.emplace_back(coloured ? "colour turned to grey by 0.299 R + 0.587 G + 0.114 B" : "three equal channels taken as grey");
  } else {
    return bad_input(source, "has " + std::to_string(have) + " channels, the model takes " + std::to_string(wanted) + "; convert the image");
  }
  raw.size.channels = wanted;
  raw.pixels = std::move(out);
  return {};
}

// A raw image -> a sample.
Result<PreparedInput> fit(Raw raw, PreparedInput sample, const Job& job) {
  const auto& [shape, options, source, samples] = job;
  ImageSize hint = raw.size;
  if (options.resize && options.resize->height > 0) hint = {options.resize->height, options.resize->width, raw.size.channels};
  BL_TRY(form, infer_form(shape, options, "the model", hint));
  if (!form.image) {
    return bad_input(source, "is an image, but the model takes " + to_string(form.shape) + ", which is not known to be one; give --image with its rows and columns, or an array");
  }
  if (options.resize && options.resize->height > 0 && (options.resize->height != form.height || options.resize->width != form.width)) {
    return bad_input("option --resize", "asks for " + sides(options.resize->height, options.resize->width) + ", but the model takes " + sides(form.height, form.width) + "; leave the size out");
  }
  if (raw.size.height != form.height || raw.size.width != form.width) {
    if (!options.resize) return bad_input(source, "is " + sides(raw.size.height, raw.size.width) + " pixels, the model takes " + sides(form.height, form.width) + "; scale the image or give --resize");
    sample.applied.push_back("scaled from " + sides(raw.size.height, raw.size.width) + " to " + sides(form.height, form.width));
    raw.pixels = resample(raw.pixels, raw.size, form.height, form.width);
    raw.size.height = form.height;
    raw.size.width = form.width;
  }
  BL_CHECK(fit_channels(raw, form.channels, sample.applied, source));
  sample.map.form = form;
  sample.pixels.resize(raw.pixels.size());
  for (std::int64_t i = 0; i < form.size(); ++i) {
    const PixelPlace p = form.place(i);
    sample.pixels[static_cast<std::size_t>(i)] = raw.pixels[static_cast<std::size_t>((p.row * form.width + p.column) * form.channels + p.channel)];
  }
  return finish(std::move(sample), job);
}

Shape without_ones(const Shape& shape) {
  Shape kept;
  for (const auto d : shape) if (d != 1) kept.push_back(d);
  return kept;
}

struct ArrayImage {
  ImageSize size;
  bool planes = false;  // channels first
};

// The image that an array of this shape is, for a model of `wanted` channels; nothing when it is none.
std::optional<ArrayImage> image_size(Shape s, std::int64_t wanted) {
  const auto few = [wanted](std::int64_t c) { return c == 1 || c == 3 || c == wanted; };
  while (s.size() > 3 && s[0] == 1) s.erase(s.begin());
  if (s.size() == 2) return ArrayImage{{s[0], s[1], 1}};
  if (s.size() == 3 && few(s[2])) return ArrayImage{{s[0], s[1], s[2]}};
  if (s.size() == 3 && few(s[0])) return ArrayImage{{s[1], s[2], s[0]}, true};
  return std::nullopt;
}

Raw raw_of(const ArrayImage& image, std::vector<double> pixels) {
  if (!image.planes) return {image.size, std::move(pixels)};
  Raw raw{image.size, {}};
  raw.pixels.reserve(pixels.size());
  const auto plane = static_cast<std::size_t>(image.size.height * image.size.width);
  const auto channels = static_cast<std::size_t>(image.size.channels);
  for (std::size_t i = 0; i < plane; ++i) for (std::size_t c = 0; c < channels; ++c) raw.pixels.push_back(pixels[c * plane + i]);
  return raw;
}

// The model's shape with its free dimensions, but for the batch, taken from an array of the same rank.
Shape settled(const Shape& model, const Shape& array) {
  Shape shape = model;
  if (shape.size() >= 2 && shape[0] == -1) shape[0] = 1;
  if (array.size() != model.size()) return shape;
  for (std::size_t i = 0; i < shape.size(); ++i) if (shape[i] < 0) shape[i] = array[i];
  return shape;
}

// One sample whose numbers are in the model's own order, or an image to be fitted.
Result<PreparedInput> prepare_numbers(std::vector<double> pixels, const Shape& shape, PreparedInput sample, const Job& job) {
  const auto& [model, options, source, samples] = job;
  const Shape target = settled(model, shape);
  const auto form = infer_form(target, options, "the model");
  const Shape have = without_ones(shape);
  if (form.ok() && form->size() == static_cast<std::int64_t>(pixels.size()) && (have.size() <= 1 || have == without_ones(form->shape))) {
    sample.map.form = *form;
    if (form->reversed) {  // the array's channels are red, green, blue, in the model's layout
      std::vector<double> ordered(pixels.size());
      InputForm plain = *form;
      plain.reversed = false;
      for (std::int64_t i = 0; i < form->size(); ++i) ordered[static_cast<std::size_t>(form->element(plain.place(i)))] = pixels[static_cast<std::size_t>(i)];
      pixels = std::move(ordered);
    }
    sample.pixels = std::move(pixels);
    return finish(std::move(sample), job);
  }
  const auto image = image_size(shape, form.ok() ? form->channels : 3);
  if (!form.ok() && !image) return form.error();
  if (form.ok() && (!image || !form->image)) {
    return bad_input(source, (samples > 1 ? "holds " + std::to_string(samples) + " samples of " : "is ") + to_string(shape) + ", the model takes " + to_string(form->shape) + "; give an array of that shape");
  }
  return fit(raw_of(*image, std::move(pixels)), std::move(sample), job);
}

// How many samples the array holds: 1, or its first dimension.
std::int64_t sample_count(const Tensor& array, const Shape& model, const InputOptions& options) {
  const Shape& shape = array.shape();
  if (shape.size() < 2) return 1;
  const auto form = infer_form(settled(model, shape), options, "the model");
  if (form.ok() && array.size() == form->size()) return 1;
  if (form.ok() && array.size() / shape[0] == form->size()) return shape[0];
  // Images of another size: rows x columns (x channels), many of them with one more axis.
  return image_size(shape, form.ok() ? form->channels : 3) ? 1 : shape[0];
}

Result<void> check_finite(const std::vector<double>& values, const std::string& source) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return bad_input(source, "number " + std::to_string(i) + " is " + (std::isnan(values[i]) ? "NaN" : "infinite") + "; a model's input must be finite");
  }
  return {};
}

}  // namespace

Interval InputMap::value(std::int64_t element, Interval pixel) const {
  const double m = mean_of(element), s = std_of(element);
  const Interval centred = m == 0 ? pixel : pixel - Interval(m);
  return s == 1 ? centred : centred / Interval(s);
}

Result<PreparedInput> prepare_input(const Image& image, const Shape& model_shape, const InputOptions& options, const std::string& source) {
  const Job job{model_shape, options, source, 1};
  PreparedInput sample;
  const auto form = infer_form(model_shape, options, "the model", ImageSize{image.height, image.width, image.channels});
  const bool keep_alpha = image.channels == 4 && form.ok() && form->image && form->channels == 4;
  bool blended = false;
  const Image flat = keep_alpha ? image : blend_with_black(image, &blended);
  if (blended) sample.applied.emplace_back("transparent pixels blended with black");
  const Ratio scale = options.scale.value_or(Ratio{1, static_cast<double>(flat.max_value)});
  sample.applied.push_back("pixel = " + shown(scale) + " * sample");
  sample.range = Interval(0, scaled(flat.max_value, scale));
  Raw raw{{flat.height, flat.width, flat.channels}, {}};
  raw.pixels.reserve(flat.samples.size());
  for (const auto s : flat.samples) raw.pixels.push_back(scaled(s, scale));
  return fit(std::move(raw), std::move(sample), job);
}

Result<std::vector<PreparedInput>> prepare_inputs(const Tensor& array, const Shape& model_shape, const InputOptions& options, const std::string& source) {
  if (array.size() == 0) return bad_input(source, "holds no numbers; its shape is " + to_string(array.shape()));
  std::vector<double> numbers = array.to_doubles();
  BL_CHECK(check_finite(numbers, source));
  const bool bytes = array.type() == DataType::uint8, words = array.type() == DataType::uint16;
  const Ratio scale = options.scale.value_or(Ratio{1, bytes ? 255.0 : words ? 65535.0 : 1.0});
  for (double& x : numbers) x = scaled(x, scale);
  BL_CHECK(check_finite(numbers, source));

  const std::int64_t count = sample_count(array, model_shape, options);
  const Job job{model_shape, options, source, count};
  const Shape shape = count > 1 ? Shape(array.shape().begin() + 1, array.shape().end()) : array.shape();
  const auto length = static_cast<std::ptrdiff_t>(numbers.size() / static_cast<std::size_t>(count));
  std::vector<PreparedInput> samples;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto begin = numbers.begin() + i * length;
    std::vector<double> own(begin, begin + length);
    PreparedInput sample;
    if (scale.over != scale.under) sample.applied.push_back("pixel = " + shown(scale) + " * number");
    if (bytes || words) sample.range = Interval(0, scaled(bytes ? 255 : 65535, scale));
    else if (!options.scale && std::all_of(own.begin(), own.end(), [](double x) { return x >= 0 && x <= 1; })) sample.range = Interval(0, 1);
    BL_TRY(done, prepare_numbers(std::move(own), shape, std::move(sample), job));
    if (!done.map.form.image && !bytes && !words) done.range.reset();
    if (done.map.form.image && !done.range) done.applied.emplace_back("the numbers are taken as pixels although some are outside of [0, 1] (--scale 1/255 for bytes)");
    samples.push_back(std::move(done));
  }
  return samples;
}

Result<std::vector<PreparedInput>> load_inputs(const std::string& text, const Shape& model_shape, const InputOptions& options) {
  BL_TRY(address, parse_array_address(text));
  char head[8] = {};
  std::ifstream(address.file, std::ios::binary).read(head, sizeof head);
  if (!looks_like_image({head, sizeof head}) && address.file.extension() != ".png" && address.file.extension() != ".jpg" && address.file.extension() != ".jpeg") {
    BL_TRY(array, load_array(text));
    return prepare_inputs(array, model_shape, options, text);
  }
  if (!address.parts.empty()) return bad_input(text, "takes a part of an image file; parts can be taken of arrays only");
  BL_TRY(image, load_image(address.file));
  BL_TRY(sample, prepare_input(image, model_shape, options, text));
  return std::vector<PreparedInput>{std::move(sample)};
}

Result<PreparedInput> load_input(const std::string& text, const Shape& model_shape, const InputOptions& options) {
  BL_TRY(samples, load_inputs(text, model_shape, options));
  if (samples.size() != 1) return bad_input(text, "holds " + std::to_string(samples.size()) + " samples; pick one as " + text + "[0]");
  return std::move(samples[0]);
}

std::vector<double> resample(const std::vector<double>& pixels, ImageSize from, std::int64_t height, std::int64_t width) {
  demand(pixels.size() == static_cast<std::size_t>(from.height * from.width * from.channels) && from.height > 0 && from.width > 0 && height > 0 && width > 0,
         "resample: " + std::to_string(pixels.size()) + " numbers are no image of " + sides(from.height, from.width));
  // One axis at a time: out[o][k][i] = sum_j w(k, j) in[o][j][i].
  const auto along = [](const std::vector<double>& in, std::int64_t outer, std::int64_t have, std::int64_t want, std::int64_t inner) {
    std::vector<double> out(static_cast<std::size_t>(outer * want * inner), 0.0);
    const double ratio = static_cast<double>(have) / static_cast<double>(want);
    const double reach = std::max(1.0, ratio);
    for (std::int64_t k = 0; k < want; ++k) {
      const double centre = (static_cast<double>(k) + 0.5) * ratio - 0.5;
      const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(centre - reach)));
      const auto last = std::min<std::int64_t>(have - 1, static_cast<std::int64_t>(std::floor(centre + reach)));
      std::vector<double> weights;
      double sum = 0;
      for (std::int64_t j = first; j <= last; ++j) {
        weights.push_back(std::max(0.0, 1 - std::fabs(static_cast<double>(j) - centre) / reach));
        sum += weights.back();
      }
      for (std::int64_t o = 0; o < outer; ++o) {
        for (std::int64_t j = first; j <= last; ++j) {
          const double w = weights[static_cast<std::size_t>(j - first)] / sum;
          for (std::int64_t i = 0; i < inner; ++i) out[static_cast<std::size_t>((o * want + k) * inner + i)] += w * in[static_cast<std::size_t>((o * have + j) * inner + i)];
        }
      }
    }
    return out;
  };
  const auto rows = from.height == height ? pixels : along(pixels, 1, from.height, height, from.width * from.channels);
  return from.width == width ? rows : along(rows, height, from.width, width, from.channels);
}

}  // namespace boundlight
