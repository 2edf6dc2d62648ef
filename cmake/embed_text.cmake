# SPDX-License-Identifier: Apache-2.0
# cmake -DFILE=a.txt -DOUT=x.cpp -DNAME=space::name -P embed_text.cmake: defines the file's text as
# `const char* const name`.
file(READ ${FILE} text)
string(REGEX REPLACE "::[^:]*$" "" space ${NAME})
string(REGEX REPLACE "^.*::" "" name ${NAME})
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n\"" text "${text}")
file(WRITE ${OUT} "// Made by cmake/embed_text.cmake.\n"
                  "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
                  "namespace ${space} {\n"
                  "extern const char* const ${name};\n"
                  "const char* const ${name} =\n\"${text}\";\n"
                  "}  // namespace ${space}\n")
