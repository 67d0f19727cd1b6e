#include <cstdio>
// jpeglib.h needs size_t and FILE from <cstdio>.
#include <jpeglib.h>
#include <jerror.h>

#include <csetjmp>

#include "boundlight/models/errors.hpp"
#include "boundlight/models/image_formats.hpp"

namespace boundlight {
namespace {

struct Handler {
  jpeg_error_mgr base;  // first: the library's pointer to it is a pointer to this
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr codec) {
  auto* handler = reinterpret_cast<Handler*>(codec->err);
  handler->base.format_message(codec, handler->message);
  std::longjmp(handler->escape, 1);
}

// A warning means that pixels were made up, except for stray bytes between the parts of a file.
void on_message(j_common_ptr codec, int level) {
  if (level < 0 && codec->err->msg_code != JWRN_EXTRANEOUS_DATA) leave(codec);
}
// A progressive file may repeat its scans without end, at no cost to whoever wrote it.
void count_scans(j_common_ptr codec) {
  constexpr int kMostScans = 200;
  if (reinterpret_cast<j_decompress_ptr>(codec)->input_scan_number > kMostScans) {
    std::snprintf(reinterpret_cast<Handler*>(codec->err)->message, JMSG_LENGTH_MAX, "more than %d scans", kMostScans);
    std::longjmp(reinterpret_cast<Handler*>(codec->err)->escape, 1);
  }
}
void print_nothing(j_common_ptr) {}

struct JpegReader {
  jpeg_decompress_struct codec{};
  Handler handler{};
  jpeg_progress_mgr progress{};
  bool created = false;

  JpegReader() {
    codec.err = jpeg_std_error(&handler.base);
    handler.base.error_exit = leave;
    handler.base.emit_message = on_message;
    handler.base.output_message = print_nothing;
  }
  ~JpegReader() { if (created) jpeg_destroy_decompress(&codec); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

bool read_jpeg_header(JpegReader& reader, std::string_view bytes) {
  if (setjmp(reader.handler.escape) != 0) return false;
  jpeg_create_decompress(&reader.codec);
  reader.created = true;
  reader.progress.progress_monitor = count_scans;
  reader.codec.progress = &reader.progress;
  jpeg_mem_src(&reader.codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&reader.codec, TRUE);
  return true;
}

bool start(JpegReader& reader, J_COLOR_SPACE space) {
  if (setjmp(reader.handler.escape) != 0) return false;
  reader.codec.out_color_space = space;
  reader.codec.dct_method = JDCT_ISLOW;  // the exact integer one, also what other readers use
  jpeg_start_decompress(&reader.codec);
  return true;
}

bool read_rows(JpegReader& reader, JSAMPLE* row, std::uint16_t* to, std::size_t row_samples) {
  if (setjmp(reader.handler.escape) != 0) return false;
  while (reader.codec.output_scanline < reader.codec.output_height) {
    std::uint16_t* out = to + reader.codec.output_scanline * row_samples;
    jpeg_read_scanlines(&reader.codec, &row, 1);
    for (std::size_t i = 0; i < row_samples; ++i) out[i] = row[i];
  }
  jpeg_finish_decompress(&reader.codec);
  return true;
}

}  // namespace

Result<Image> decode_jpeg(std::string_view bytes, const std::string& source, const ImageOptions& options) {
  JpegReader reader;
  const auto damaged = [&] {
    return bad_input(source, std::string("is a damaged JPEG file (") + reader.handler.message + "); export or fetch it again");
  };
  if (!read_jpeg_header(reader, bytes)) return damaged();
  BL_CHECK(check_image_size(reader.codec.image_height, reader.codec.image_width, source, options));
  const J_COLOR_SPACE stored = reader.codec.jpeg_color_space;
  if (stored == JCS_CMYK || stored == JCS_YCCK) return unsupported(source, "is a CMYK picture, which is not supported; convert it to RGB");
  if (reader.codec.arith_code) return unsupported(source, "is an arithmetic-coded JPEG file, which is not supported; save it as PNG");
  // A Huffman code has at least one bit per block of 64 samples, so a byte holds at most 512 samples of a component:
  // refuse before the library allocates what the file cannot fill.
  const std::uint64_t pixels = std::uint64_t{reader.codec.image_height} * reader.codec.image_width;
  if (pixels / 512 > bytes.size()) return bad_input(source, "is a damaged JPEG file (too few bytes for its size); export or fetch it again");
  if (!start(reader, reader.codec.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB)) return damaged();

  Image image;
  image.height = reader.codec.output_height;
  image.width = reader.codec.output_width;
  image.channels = reader.codec.output_components;
  const std::size_t row_samples = static_cast<std::size_t>(image.width * image.channels);
  image.samples.resize(row_samples * static_cast<std::size_t>(image.height));
  std::vector<JSAMPLE> row(row_samples);
  if (!read_rows(reader, row.data(), image.samples.data(), row_samples)) return damaged();
  return image;
}

}  // namespace boundlight
