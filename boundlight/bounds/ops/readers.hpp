// Index tables shared by kernels that gather: uploads, and the reverse of "output e reads element source[e]".
#pragma once

#include <cstdint>
#include <vector>

#include "boundlight/bounds/ops/kernel.hpp"

namespace boundlight {

// For every element of an input, who reads it, as compressed rows: readers of i are list[at[i] .. at[i + 1]).
struct Readers {
  std::vector<std::int32_t> at, list;
  std::int64_t most = 0;
};
// source[e] in [0, width); negative: reads nothing.
inline Readers readers_of(const std::vector<std::int64_t>& source, std::int64_t width) {
  Readers r;
  r.at.assign(static_cast<std::size_t>(width) + 1, 0);
  for (const auto s : source)
    if (s >= 0) ++r.at[static_cast<std::size_t>(s) + 1];
  for (std::size_t i = 1; i < r.at.size(); ++i) {
    r.most = std::max<std::int64_t>(r.most, r.at[i]);
    r.at[i] += r.at[i - 1];
  }
  r.list.resize(static_cast<std::size_t>(r.at.back()) + 1);
  auto next = r.at;
  for (std::size_t e = 0; e < source.size(); ++e)
    if (source[e] >= 0) r.list[static_cast<std::size_t>(next[static_cast<std::size_t>(source[e])]++)] = static_cast<std::int32_t>(e);
  return r;
}

}  // namespace boundlight

namespace boundlight::BL_NS {

template <class U>
Buffer<U> uploaded(Device& d, const std::vector<U>& host) {
  auto b = d.buffer<U>(static_cast<std::int64_t>(host.size()));
  d.upload(b.data(), host.data(), b.size());
  return b;
}
inline Buffer<std::int32_t> uploaded_indices(Device& d, const std::vector<std::int64_t>& host) {
  return uploaded(d, std::vector<std::int32_t>(host.begin(), host.end()));
}

}  // namespace boundlight::BL_NS
