// What `explain` leaves in a folder: pictures, arrays, report.json and a self-contained report.html.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "boundlight/explain/cells.hpp"
#include "boundlight/explain/eva.hpp"
#include "boundlight/models/image.hpp"

namespace boundlight {

struct ReportInput {
  std::string model, sha256, input, version, device;
  std::vector<std::string> labels;                             // class names, may be empty
  std::vector<std::pair<std::string, std::string>> settings;   // option, value: in the order to print
  std::vector<double> grey;                                    // the image, [height][width] in [0, 1]
  Picture image;                                               // as given
  std::string certificate, certificate_reason;                 // its file; or why there is none; both empty: not asked for
  std::size_t certificate_bytes = 0;
};

// The sentences of a result in plain words, most important first: verdict on B, what is certified, what is not.
std::vector<std::string> in_words(const EvaMap& map, const ReportInput& input);

// The report as JSON text (one line per field; every number finite or a text).
std::string report_json(const EvaMap& map, const Cells& cells, const ReportInput& input);

// Writes map.png, overlay.png, interval.png, map.npz, report.json, report.html. The folder is made when it is missing; files
// of the same names are replaced. Errors: io.
Result<void> write_report(const std::filesystem::path& folder, const EvaMap& map, const Cells& cells, const ReportInput& input);

}  // namespace boundlight
