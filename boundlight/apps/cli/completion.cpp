// boundlight completion: the shell completions, written from the parser itself, so they cannot miss an option.
#include <algorithm>
#include <cstdio>

#include "boundlight/apps/cli/command.hpp"

namespace boundlight::cli {
namespace {

struct Choice {
  std::vector<std::string> names;    // "--json", "-o"; empty: positional
  std::string description;
  bool takes_value = false;
  std::vector<std::string> values;   // when the value is one of a list
};

// The values of a type such as "TEXT:{linf,l2,l1}"; empty: any.
std::vector<std::string> listed_values(const std::string& type) {
  const auto open = type.find('{'), close = type.find('}');
  std::vector<std::string> values;
  if (open == std::string::npos || close == std::string::npos || close < open) return values;
  std::string word;
  for (std::size_t at = open + 1; at <= close; ++at) {
    if (type[at] != ',' && type[at] != '}') {
      word += type[at];
      continue;
    }
    const auto arrow = word.find("->");  // "linf->0": only the name is typed
    if (!word.empty()) values.push_back(word.substr(0, arrow));
    word.clear();
  }
  return values;
}

// The options of a command, those of its option groups included; positional ones have no names.
void collect(const CLI::App& app, std::vector<Choice>& choices) {
  for (const CLI::Option* option : app.get_options()) {
    Choice c;
    for (const auto& name : option->get_snames()) c.names.push_back("-" + name);
    for (const auto& name : option->get_lnames()) c.names.push_back("--" + name);
    if (option->get_group().empty()) continue;  // hidden
    c.description = option->get_description();
    c.takes_value = option->get_items_expected_max() > 0;
    if (c.takes_value) c.values = listed_values(option->get_type_name());
    choices.push_back(std::move(c));
  }
  for (const CLI::App* group : app.get_subcommands([](const CLI::App* a) { return a->get_name().empty(); })) collect(*group, choices);
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* a) { return !a->get_name().empty() && !a->get_group().empty(); });
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string bash_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += command->get_name() + " ";
    std::vector<Choice> choices;
    collect(*command, choices);
    std::vector<std::string> words, values;
    for (const auto& c : choices) {
      if (c.names.empty()) values.insert(values.end(), c.values.begin(), c.values.end());
      words.insert(words.end(), c.names.begin(), c.names.end());
      if (!c.takes_value) continue;
      for (const auto& name : c.names)
        cases += "    " + command->get_name() + "," + name + ") words='" + joined(c.values) + "'; options= ;;\n";
    }
    cases += "    " + command->get_name() + ",*) options='" + joined(words) + "' words='" + joined(values) + "' ;;\n";
  }
  return "# bash completion of boundlight; made by: boundlight completion bash\n"
         "_boundlight() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words= options=\n"
         "  COMPREPLY=()\n"
         "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
         "    COMPREPLY=($(compgen -W '" + names + "--help --version' -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]},$prev in\n" + cases +
         "  esac\n"
         "  if [[ $cur == -* && -n $options ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
         "  elif [[ -n $words ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _boundlight boundlight\n";
}

// Inside single quotes of an _arguments specification, where brackets and colons have a meaning.
std::string zsh_text(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\'') quoted += "'\\''";
    else if (c == '[' || c == ']' || c == ':' || c == '\\') quoted += std::string("\\") + c;
    else quoted += c == '\n' ? ' ' : c;
  }
  return quoted;
}

std::string zsh_script(const CLI::App& app) {
  std::string names, cases;
  for (const CLI::App* command : commands_of(app)) {
    names += "    '" + command->get_name() + ":" + zsh_text(command->get_description()) + "'\n";
    std::vector<Choice> choices;
    collect(*command, choices);
    cases += "    " + command->get_name() + ")\n      _arguments -s \\\n";
    std::string positional = "_files";
    for (const auto& c : choices) {
      if (c.names.empty() && !c.values.empty()) positional = "(" + joined(c.values) + ")";
      for (const auto& name : c.names) {
        cases += "        '" + name + "[" + zsh_text(c.description) + "]";
        if (c.takes_value) cases += c.values.empty() ? ":value:_files" : ":value:(" + joined(c.values) + ")";
        cases += "' \\\n";
      }
    }
    cases += "        '*:argument:" + positional + "'\n      ;;\n";
  }
  return "#compdef boundlight\n"
         "# zsh completion of boundlight; made by: boundlight completion zsh\n"
         "_boundlight() {\n"
         "  local -a commands\n"
         "  commands=(\n" + names + "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe -t commands 'boundlight command' commands\n"
         "    _arguments '--help[explain the command]' '--version[print the version]'\n"
         "    return\n"
         "  fi\n"
         "  local command=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $command in\n" + cases +
         "  esac\n"
         "}\n"
         "if [[ $funcstack[1] == _boundlight ]]; then _boundlight \"$@\"; else compdef _boundlight boundlight; fi\n";
}

}  // namespace

void add_completion(CLI::App& app, Session& session) {
  auto* command = app.add_subcommand("completion", "Print the completion script of a shell");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "The shell")->required()->check(CLI::IsMember({"bash", "zsh"}));
  command->footer("Example: source <(boundlight completion bash)");
  command->callback([&app, &session, shell] {
    session.run = [&app, shell]() -> Result<int> {
      const std::string script = *shell == "bash" ? bash_script(app) : zsh_script(app);
      if (std::fwrite(script.data(), 1, script.size(), stdout) != script.size() || std::fflush(stdout) != 0)
        return Error{ErrorKind::io, "standard output", "cannot write the script"};
      return kDone;
    };
  });
}

}  // namespace boundlight::cli
