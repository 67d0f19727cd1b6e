#include <png.h>

#include <csetjmp>
#include <cstring>
#include <limits>
#include <new>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/image_formats.hpp"

namespace boundlight {
namespace {

constexpr std::size_t kMessageBytes = 200;

struct Source {
  const char* data;
  std::size_t left;
};

void take_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (count > source.left) png_error(png, "the file is cut short");
  std::memcpy(to, source.data, count);
  source.data += count;
  source.left -= count;
}

void keep_message(png_structp png, png_const_charp text) {
  auto* message = static_cast<char*>(png_get_error_ptr(png));
  std::strncpy(message, text, kMessageBytes - 1);
  png_longjmp(png, 1);
}
void drop_message(png_structp, png_const_charp) {}

struct PngReader {
  Source source;
  char message[kMessageBytes] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit PngReader(std::string_view bytes) : source{bytes.data(), bytes.size()} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, message, keep_message, drop_message);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

// Reads up to the pixels and asks for 8 or 16 bits of grey, grey and alpha, RGB or RGBA.
bool read_png_header(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader.source, take_bytes);
  png_set_user_limits(reader.png, 0x7FFFFFFF, 0x7FFFFFFF);  // the caller has a cap of its own, with a better sentence
  png_set_chunk_malloc_max(reader.png, 1 << 22);            // compressed texts and profiles
  png_set_chunk_cache_max(reader.png, 128);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);  // palette -> RGB, fewer bits -> 8, transparent colour -> alpha
  if (png_get_bit_depth(reader.png, reader.info) == 16) png_set_swap(reader.png);  // to this machine's order
  png_set_interlace_handling(reader.png);
  return true;
}

bool apply_transforms(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_pixels(PngReader& reader, png_bytep* rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

struct Sink {
  std::string bytes;
  bool failed = false;
};

void put_bytes(png_structp png, png_bytep from, std::size_t count) {
  auto& sink = *static_cast<Sink*>(png_get_io_ptr(png));
  try {
    if (!sink.failed) sink.bytes.append(reinterpret_cast<const char*>(from), count);
  } catch (const std::bad_alloc&) {
    sink.failed = true;  // told after the library has returned
  }
}
void flush_nothing(png_structp) {}

struct Writer {
  char message[kMessageBytes] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, message, keep_message, drop_message);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

bool write_picture(Writer& writer, Sink& sink, const Picture& picture) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_set_write_fn(writer.png, &sink, put_bytes, flush_nothing);
  const int colour = picture.channels == 1 ? PNG_COLOR_TYPE_GRAY : picture.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGB_ALPHA;
  png_set_user_limits(writer.png, 0x7FFFFFFF, 0x7FFFFFFF);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height), 8,
               colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  const auto row_bytes = static_cast<std::size_t>(picture.width * picture.channels);
  for (std::int64_t r = 0; r < picture.height; ++r) {
    png_write_row(writer.png, picture.samples.data() + static_cast<std::size_t>(r) * row_bytes);
  }
  png_write_end(writer.png, writer.info);
  return true;
}

}  // namespace

Result<Image> decode_png(std::string_view bytes, const std::string& source, const ImageOptions& options) {
  const auto damaged = [&](const PngReader& reader) {
    return bad_input(source, std::string("is a damaged PNG file (") + reader.message + "); export or fetch it again");
  };
  PngReader reader(bytes);
  if (reader.png == nullptr || reader.info == nullptr) throw std::bad_alloc();
  if (!read_png_header(reader)) return damaged(reader);
  Image image;
  image.height = png_get_image_height(reader.png, reader.info);
  image.width = png_get_image_width(reader.png, reader.info);
  BL_CHECK(check_image_size(static_cast<std::uint64_t>(image.height), static_cast<std::uint64_t>(image.width), source, options));
  // Deflate makes at most 1032 bytes of one: refuse before allocating what the file cannot fill.
  const std::uint64_t stored = (static_cast<std::uint64_t>(image.width) * png_get_bit_depth(reader.png, reader.info) *
                                    png_get_channels(reader.png, reader.info) + 7) / 8 * static_cast<std::uint64_t>(image.height);
  if (stored / 1032 > bytes.size()) return bad_input(source, "is a damaged PNG file (too few bytes for its size); export or fetch it again");
  if (!apply_transforms(reader)) return damaged(reader);

  image.channels = png_get_channels(reader.png, reader.info);
  const bool wide = png_get_bit_depth(reader.png, reader.info) == 16;
  image.max_value = wide ? 65535 : 255;
  const std::size_t row_samples = static_cast<std::size_t>(image.width * image.channels);
  const std::size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  demand(row_bytes == row_samples * (wide ? 2 : 1), "decode_png: unexpected bytes per row");
  image.samples.resize(row_samples * static_cast<std::size_t>(image.height));
  // 8-bit samples are read into the second half of their own room and spread from there, front to back.
  auto* pixels = reinterpret_cast<png_bytep>(image.samples.data()) + (wide ? 0 : image.samples.size());
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::size_t r = 0; r < rows.size(); ++r) rows[r] = pixels + r * row_bytes;
  if (!read_pixels(reader, rows.data())) return damaged(reader);
  if (!wide) for (std::size_t i = 0; i < image.samples.size(); ++i) image.samples[i] = pixels[i];
  return image;
}

std::string encode_png(const Picture& picture) {
  constexpr std::int64_t kMost = 0x7FFFFFFF;
  demand(picture.channels == 1 || picture.channels == 3 || picture.channels == 4,
         "encode_png: " + std::to_string(picture.channels) + " channels, 1, 3 or 4 are possible");
  demand(picture.height > 0 && picture.width > 0 && picture.height <= kMost && picture.width <= kMost / picture.channels,
         "encode_png: impossible size " + std::to_string(picture.height) + "x" + std::to_string(picture.width));
  demand(picture.samples.size() / static_cast<std::size_t>(picture.channels) / static_cast<std::size_t>(picture.width) ==
                 static_cast<std::size_t>(picture.height) &&
             picture.samples.size() % static_cast<std::size_t>(picture.channels * picture.width) == 0,
         "encode_png: " + std::to_string(picture.samples.size()) + " samples do not fit the size");
  Writer writer;
  if (writer.png == nullptr || writer.info == nullptr) throw std::bad_alloc();
  Sink sink;
  const bool written = write_picture(writer, sink, picture);
  if (sink.failed) throw std::bad_alloc();
  demand(written, std::string("encode_png: ") + writer.message);
  return std::move(sink.bytes);
}

}  // namespace boundlight
