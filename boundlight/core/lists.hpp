// Nested lists of words, "(a (b c) d)", with comments from ';' to the end of the line: the shape of SMT-LIB and its relatives.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace boundlight {

struct WordList {  // a word, or a list where the word is empty
  std::string_view word;
  std::vector<WordList> list;
  std::size_t at = 0;  // its first byte

  [[nodiscard]] bool is_list() const { return word.empty(); }
};

// The text's words and lists, one after the other; they refer to the text. Throws BadBytes (bytes.hpp) where a bracket has no
// partner or lists are nested deeper than `depth`.
class WordLists {
 public:
  WordLists(std::string_view text, int depth) : text_(text), depth_(depth) {}
  std::optional<WordList> next();  // nothing: the end

 private:
  void skip();
  WordList item(int depth);

  std::string_view text_;
  int depth_;
  std::size_t at_ = 0;
};

}  // namespace boundlight
