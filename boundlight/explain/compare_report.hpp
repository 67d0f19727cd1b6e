// What `compare` leaves in a folder: table.json, table.csv, report.html (self-contained), maps.png and maps.npz.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "boundlight/explain/compare.hpp"

namespace boundlight {

struct CompareReport {
  std::string model, sha256, input, version, device;
  std::vector<std::string> labels;                            // class names, may be empty
  std::vector<std::pair<std::string, std::string>> settings;  // option, value: in the order to print
};

// One row per method, one number per column, every one with its 95 % interval; and each image's own numbers.
std::string compare_json(const Comparison& c, const CompareReport& report);
// One row per method; empty fields where a method does not apply.
std::string compare_csv(const Comparison& c);
// For a terminal: aligned columns, best numbers marked by a star, and a line on what is not applicable.
std::string compare_text(const Comparison& c);
// Rows: the first `rows` images; columns: the image, then every method's map on its own scale, with titles.
Picture compare_picture(const Comparison& c, const std::vector<CompareImage>& images, std::int64_t rows = 12);

// Arrays of maps.npz: a map [images][cells] per method and the certified lower, estimate and upper, padded with NaN where
// images differ in their number of cells; cells [images][height][width].
// Writes all five files; the folder is made when it is missing, files of the same names are replaced. Errors: io.
Result<void> write_comparison(const std::filesystem::path& folder, const Comparison& c, const std::vector<CompareImage>& images, const CompareReport& report);

}  // namespace boundlight
