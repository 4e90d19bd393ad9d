/* Part of the folder for what moves, copies and deletes, /puts/trees, and what may have become of
 * it. As in script_folder.h, these have no prefix.
 *
 * What was acknowledged has happened; else all is as it was before, or as it was meant. Only of
 * what is being deleted may a part be left. Nothing else has changed, and nothing of the server's
 * own is left.
 */
#pragma once

#include <stdbool.h>

/* Learns what everything looks like. */
void script_tree_prepare(int root_fd);

/* before: file, other, link (to other), sparse, tree/, target/, else/full/, lists/; no new */
void restore_trees(int root_fd);

/* The same, and an empty trash; or one with a file "old". */
#define SCRIPT_TRASH_FOLDER "puts/Trash"
void restore_trash(int root_fd);
void restore_trashed(int root_fd);

/* The same, and one of the things lies in the trash, or in the one of a file system below, since
 * then. */
enum { SCRIPT_DELETED_S = 1600000000 };
void delete_file(int root_fd);
void delete_tree(int root_fd);
void delete_file_below(int root_fd);

/* after */
const char *are_trees_same(int root_fd, bool acknowledged);
const char *is_made(int root_fd, bool acknowledged);
const char *is_file_deleted(int root_fd, bool acknowledged);
const char *is_link_deleted(int root_fd, bool acknowledged);
const char *is_tree_deleted(int root_fd, bool acknowledged);
const char *is_file_in_trash(int root_fd, bool acknowledged);
const char *is_link_in_trash(int root_fd, bool acknowledged);
const char *is_tree_in_trash(int root_fd, bool acknowledged);
const char *is_file_in_trash_below(int root_fd, bool acknowledged);
const char *is_tree_in_trash_below(int root_fd, bool acknowledged);
const char *is_gone_from_trash(int root_fd, bool acknowledged);
const char *is_file_back(int root_fd, bool acknowledged);
const char *is_tree_back(int root_fd, bool acknowledged);
const char *is_file_back_from_below(int root_fd, bool acknowledged);
const char *is_file_still_in_trash(int root_fd, bool acknowledged);
const char *is_file_moved(int root_fd, bool acknowledged);
const char *is_file_moved_on_file(int root_fd, bool acknowledged);
const char *is_file_moved_on_folder(int root_fd, bool acknowledged);
const char *is_file_moved_on(int root_fd, bool acknowledged);
const char *is_file_moved_across(int root_fd, bool acknowledged);
const char *is_link_moved(int root_fd, bool acknowledged);
const char *is_link_moved_across(int root_fd, bool acknowledged);
const char *is_tree_moved(int root_fd, bool acknowledged);
const char *is_tree_moved_on_file(int root_fd, bool acknowledged);
const char *is_tree_moved_on_folder(int root_fd, bool acknowledged);
const char *is_tree_moved_on(int root_fd, bool acknowledged);
const char *is_tree_moved_across(int root_fd, bool acknowledged);
const char *is_tree_moved_on_folder_across(int root_fd, bool acknowledged);
const char *is_file_copied(int root_fd, bool acknowledged);
const char *is_file_copied_on_file(int root_fd, bool acknowledged);
const char *is_file_copied_on_folder(int root_fd, bool acknowledged);
const char *is_link_followed(int root_fd, bool acknowledged);
const char *is_sparse_copied(int root_fd, bool acknowledged);
const char *is_tree_copied(int root_fd, bool acknowledged);
const char *is_tree_copied_on_file(int root_fd, bool acknowledged);
const char *is_tree_copied_on_folder(int root_fd, bool acknowledged);
const char *is_tree_copied_alone(int root_fd, bool acknowledged);
const char *is_limited_kept(int root_fd, bool acknowledged);
const char *is_plain_kept(int root_fd, bool acknowledged);
