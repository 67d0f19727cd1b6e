// What both searches are: open parts on a stack, taken from its end in batches of a fixed size, until none is left or a limit is
// met; what is open then goes into the state. A search S over parts of type Part (with fields(), archive.hpp) derives from
// TreeSearch<S, Part> and has
//
//   Result<void> prepare()                  what is needed whether it starts or goes on
//   Result<bool> start()                    the first parts; true: a witness was found
//   Result<void> go_on()                    what the parts just read need beside themselves
//   Result<bool> step(std::vector<Part>&)   one batch: bounded, closed, split, pushed; true: a witness was found
//   std::size_t batch() const               parts of a batch
//   std::uint64_t bytes_of(const Part&)     that a part holds
//   void mark_open(const Part&, std::vector<bool>&)   targets that it leaves open
//   double bound_of(const Part&)            proved on it, in units of its threshold: > 0 closes
//
// Results do not depend on threads: batches are judged part by part, and pushed in their order.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "boundlight/solver/bab/archive.hpp"
#include "boundlight/solver/bab/search.hpp"

namespace boundlight::bab {

template <class S, class Part>
class TreeSearch {
 public:
  Result<End> run() {
    BL_CHECK(self().prepare());
    if (context_.watch.stop.stop_requested()) return End::stopped;
    if (context_.regions.empty()) {
      BL_TRY(witness, self().start());
      if (witness) return End::sat;
    } else {
      Reader r(context_.regions);
      all(r, open_parts_, share_);
      if (!r.good) return Error{ErrorKind::bad_input, context_.watch.options.state.string(), "is damaged; remove it to start anew"};
      for (const Part& p : open_parts_) bytes_ += self().bytes_of(p);
      BL_CHECK(self().go_on());
    }
    BL_TRY(end, loop());
    if (end == End::stopped || end == End::memory || end == End::limit) BL_CHECK(save());
    double least = given_up_;
    for (const Part& p : open_parts_) least = std::min(least, self().bound_of(p));
    context_.watch.result.best_bound = least;
    context_.watch.result.open = static_cast<std::int64_t>(open_parts_.size()) + (stuck_ ? 1 : 0);
    return end;
  }

 protected:
  explicit TreeSearch(SearchContext& context) : context_(context) {}

  void push(Part&& part) {
    bytes_ += self().bytes_of(part);
    open_parts_.push_back(std::move(part));
  }
  std::vector<Part>& open_parts() { return open_parts_; }
  // A part of this share of everything is closed.
  void closed(double share) { share_ += share; }
  // A part with this bound can neither be closed nor split.
  void give_up(double bound) {
    stuck_ = true;
    given_up_ = std::min(given_up_, bound);
  }
  // worst: of the bounds of the batch just done; estimate: where that is proved for few parts only.
  void tell(double worst, double estimate) { context_.watch.tell(worst, static_cast<std::int64_t>(open_parts_.size()), share_, estimate); }

 private:
  S& self() { return static_cast<S&>(*this); }

  Result<void> save() {
    context_.watch.result.open = static_cast<std::int64_t>(open_parts_.size());
    if (!context_.save) return {};
    Writer w;
    all(w, open_parts_, share_);
    return context_.save(std::move(w.bytes));
  }

  // Trees grow with the search where a certificate is wanted.
  std::uint64_t evidence() const {
    if (!context_.replayer) return 0;
    std::uint64_t n = context_.tree.bytes();
    for (const SearchTree& t : context_.own) n += t.bytes();
    return n;
  }

  std::vector<Part> take() {
    const auto n = static_cast<std::ptrdiff_t>(std::min(self().batch(), open_parts_.size()));
    std::vector<Part> batch(std::make_move_iterator(open_parts_.end() - n), std::make_move_iterator(open_parts_.end()));
    open_parts_.resize(open_parts_.size() - static_cast<std::size_t>(n));
    for (const Part& p : batch) bytes_ -= std::min(bytes_, self().bytes_of(p));
    return batch;
  }

  Result<End> loop() {
    Watch& watch = context_.watch;
    while (!open_parts_.empty() && !stuck_) {
      if (watch.stop.stop_requested()) return End::stopped;
      if (watch.out_of_domains()) return End::limit;
      if (bytes_ + evidence() > watch.memory) return End::memory;
      if (watch.time_to_save()) BL_CHECK(save());
      std::vector<bool> open(context_.group.targets.size(), false);
      for (const Part& p : open_parts_) self().mark_open(p, open);
      BL_TRY(found, context_.interlude(open));
      if (found) return End::sat;
      std::vector<Part> batch = take();
      BL_TRY(witness, self().step(batch));
      if (witness) return End::sat;
    }
    return stuck_ ? End::stuck : End::closed;
  }

  SearchContext& context_;
  std::vector<Part> open_parts_;
  std::uint64_t bytes_ = 0;
  double share_ = 0;  // closed
  bool stuck_ = false;
  double given_up_ = std::numeric_limits<double>::infinity();
};

}  // namespace boundlight::bab
