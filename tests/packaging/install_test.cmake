# cmake --install into a scratch prefix, moved elsewhere; no header missing; a consumer project; the command.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/first)
file(RENAME ${SCRATCH}/first ${SCRATCH}/prefix)

run("installed headers need no others" ${PYTHON} ${SOURCE}/tools/check_repository.py closed --root ${SCRATCH}/prefix/include)
run("configure the consumer" ${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${SCRATCH}/consumer -G Ninja
  -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix)
run("build the consumer" ${CMAKE_COMMAND} --build ${SCRATCH}/consumer)
run("run the consumer" ${SCRATCH}/consumer/consumer)
expect_version(${SCRATCH}/prefix/bin/boundlight)
