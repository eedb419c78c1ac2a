# What `cmake --install` puts where: libraries, headers, the program with its
# manual page, and the two ways to be found again: a CMake package and files for
# pkg-config.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/nws")

# A library with its headers and its own export, so that those who ask for the
# core alone need not have libuv.
function(nws_install_library target component)
  install(TARGETS ${target} EXPORT nws_${component} FILE_SET HEADERS)
  install(
    EXPORT nws_${component}
    NAMESPACE nws::
    FILE nws-${component}.cmake
    DESTINATION "${package_dir}")
endfunction()

# Relative directories below the prefix make the .pc files relocatable.
function(nws_pc_dir variable dir)
  if(IS_ABSOLUTE "${dir}")
    set(${variable} "${dir}" PARENT_SCOPE)
  else()
    set(${variable} "\${prefix}/${dir}" PARENT_SCOPE)
  endif()
endfunction()

function(nws_install_pc name)
  # Where the files lie tells the prefix, whatever `cmake --install` is given.
  if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
  else()
    file(RELATIVE_PATH up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
  endif()
  nws_pc_dir(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
  nws_pc_dir(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
  # A static library leaves the linking of what it needs to its user.
  if(BUILD_SHARED_LIBS)
    set(pc_requires "Requires.private")
    set(pc_defines " -DNWS_SHARED")
  else()
    set(pc_requires "Requires")
    set(pc_defines "")
  endif()
  set(pc_isal "")
  if(NWS_WITH_ISAL AND isal_FOUND)
    set(pc_isal ", libisal")
  endif()
  set(pc_tls "")
  if(NWS_WITH_TLS)
    set(pc_tls ", openssl >= 3.0")
  endif()
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc"
          DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

nws_install_library(nws core)
nws_install_pc(nws)
if(NWS_BUILD_DEFLATE)
  nws_install_library(nws_deflate deflate)
  nws_install_pc(nws_deflate)
  set(nws_deflate_isal OFF)
  if(NWS_WITH_ISAL AND isal_FOUND)
    set(nws_deflate_isal ON)
  endif()
endif()
if(NWS_BUILD_NET)
  nws_install_library(nws_net net)
  nws_install_pc(nws_net)
endif()
if(NWS_BUILD_CLI)
  install(TARGETS nws_cli)
  install(FILES docs/man/nws.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endif()

configure_package_config_file(
  cmake/nwsConfig.cmake.in nwsConfig.cmake INSTALL_DESTINATION
  "${package_dir}")
# Before 1.0.0 a new minor version may break its users.
write_basic_package_version_file(nwsConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/nwsConfig.cmake"
              "${PROJECT_BINARY_DIR}/nwsConfigVersion.cmake"
        DESTINATION "${package_dir}")
