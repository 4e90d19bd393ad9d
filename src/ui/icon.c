#include "ui/icon.h"

enum { EXTENSION_MAX = 8 };

/* Extensions one after the other, each between blanks. */
static const struct {
    enum icon icon;
    const char *extensions;
} kinds[] = {
    {ICON_IMAGE,
     " jpg jpeg png heic heif gif webp avif svg tif tiff bmp raw dng cr2 nef arw psd xcf ico "},
    {ICON_VIDEO, " mp4 mov mkv webm avi m4v mpg mpeg wmv ts 3gp "},
    {ICON_AUDIO, " mp3 m4a flac ogg opus wav aac aiff wma mid midi "},
    {ICON_PDF, " pdf "},
    {ICON_TEXT,
     " txt md doc docx odt rtf epub tex log xls xlsx ods csv ppt pptx odp pages numbers key "},
    {ICON_ARCHIVE, " zip gz tgz bz2 xz zst tar 7z rar iso img deb rpm apk dmg jar "},
    {ICON_CODE, " c h cc cpp hpp rs go py js ts jsx tsx java kt rb php pl sh lua sql html htm css "
                "json xml yml "
                "yaml toml ini conf patch diff "},
};

enum icon icon_for_file(struct span name)
{
    char word[EXTENSION_MAX + 3] = " ";
    size_t dot = name.len;

    while (dot > 0 && name.data[dot - 1] != '.' && name.len - dot <= EXTENSION_MAX)
        dot--;
    size_t length = name.len - dot;
    /* A dot in front makes a name hidden and is not followed by an extension. */
    if (dot < 2 || name.data[dot - 1] != '.' || length == 0 || length > EXTENSION_MAX)
        return ICON_FILE;
    for (size_t i = 0; i < length; i++) {
        char c = name.data[dot + i];
        if (c <= ' ')
            return ICON_FILE;
        word[1 + i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    word[1 + length] = ' ';
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strstr(kinds[i].extensions, word))
            return kinds[i].icon;
    return ICON_FILE;
}

char icon_class(enum icon icon)
{
    static const char classes[] = {
        [ICON_FOLDER] = 'd', [ICON_FILE] = 'f',  [ICON_IMAGE] = 'i',
        [ICON_VIDEO] = 'v',  [ICON_AUDIO] = 'a', [ICON_ARCHIVE] = 'z',
        [ICON_CODE] = 'c',   [ICON_TEXT] = 't',  [ICON_PDF] = 'p',
    };

    return classes[icon];
}
