#include "boundlight/core/lists.hpp"

#include <algorithm>

#include "boundlight/core/bytes.hpp"

namespace boundlight {

std::optional<WordList> WordLists::next() {
  skip();
  if (at_ >= text_.size()) return std::nullopt;
  return item(0);
}

void WordLists::skip() {
  for (; at_ < text_.size(); ++at_) {
    if (text_[at_] == ';') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
    else if (text_[at_] != ' ' && (text_[at_] < '\t' || text_[at_] > '\r')) return;
  }
}

WordList WordLists::item(int depth) {
  WordList it{{}, {}, at_};
  if (depth > depth_) throw BadBytes{at_, "nested too deeply"};
  if (text_[at_] != '(') {
    const std::size_t end = std::min(text_.find_first_of(" \t\n\v\f\r();", at_), text_.size());
    if (end == at_) throw BadBytes{at_, "a ')' without a '('"};
    it.word = text_.substr(at_, end - at_);
    at_ = end;
    return it;
  }
  for (++at_, skip();; skip()) {
    if (at_ >= text_.size()) throw BadBytes{it.at, "a '(' is not closed"};
    if (text_[at_] == ')') break;
    it.list.push_back(item(depth + 1));
  }
  ++at_;
  return it;
}

}  // namespace boundlight
